"""What the command line prints: on a terminal, into a pipe, and where a word is misspelled."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from filmgate.cli.text import counted
from filmgate.media.time import short_clock
from support.command import Filmgate
from support.films import film_of_shots


@pytest.fixture(scope="module")
def filmgate(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Filmgate:
    """A home with a run of a film whose asset id is long."""
    home = tmp_path_factory.mktemp("line") / "home"
    made = Filmgate(home, module_database_url)
    film = film_of_shots(home.parent / "a-film-with-a-rather-long-name-s01e01.mkv", [25, 25, 25])
    made.json("run", "episode", film)
    return made


ASSET = "a-film-with-a-rather-long-name-s01e01"


def on_terminal(filmgate: Filmgate, *arguments: str, columns: int = 80) -> str:
    """What a command prints on a terminal of so many columns, without colours."""
    main, side = pty.openpty()
    env = {**filmgate.env, "COLUMNS": str(columns), "LINES": "50", "TERM": "xterm"}
    process = subprocess.Popen(
        [*filmgate.command, *arguments],
        env=env,
        cwd=filmgate.cwd,
        stdout=side,
        stderr=subprocess.PIPE,
        stdin=side,
    )
    os.close(side)
    parts = []
    try:
        while part := os.read(main, 65536):
            parts.append(part)
    except OSError:  # Linux reports the end of a pseudo-terminal so
        pass
    os.close(main)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    text = b"".join(parts).decode().replace("\r\n", "\n")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["status", ASSET],
        ["videos"],
        ["select", ASSET],
        ["profiles", ASSET],
        ["models", "list"],
        ["settings", "episode"],
        ["sync", "status"],
        ["--help"],
        ["run", "episode", "--help"],
    ],
    ids=" ".join,
)
def test_output_fits_80_columns_on_a_terminal(filmgate: Filmgate, arguments: list[str]) -> None:
    lines = on_terminal(filmgate, *arguments).split("\n")
    too_long = [line for line in lines if len(line.rstrip()) > 80 and "/" not in line]
    assert too_long == []


def test_a_table_splits_no_number_and_no_date(filmgate: Filmgate) -> None:
    run = filmgate.json("status", ASSET)["run_id"]
    wide = on_terminal(filmgate, "status", "--wide", columns=120)
    assert run in wide
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", wide)
    assert run in on_terminal(filmgate, "status", columns=60)


def test_piped_tables_are_separated_by_tabs_and_not_padded(filmgate: Filmgate) -> None:
    lines = filmgate("videos").stdout.splitlines()
    assert lines[0] == "video\truns\tcompleted\tMB\tfile"
    assert [line for line in lines if line != line.rstrip(" ")] == []
    assert lines[1].split("\t")[0] == ASSET


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["jmp", ASSET], "Did you mean jump?"),
        (["run", "episod", "x"], "Did you mean episode?"),
        (["jump", ASSET, "--kind", "scen"], "Did you mean scene?"),
        (["jump", ASSET, "--kin", "scene"], "Did you mean --kind"),
        (["settings", "episode", "detct"], "Did you mean detect?"),
        (["run", "episode", "x.mkv", "--resume-from", "scene"], "Did you mean scenes"),
    ],
)
def test_a_misspelled_word_is_a_usage_error_that_names_the_right_one(
    filmgate: Filmgate, arguments: list[str], hint: str
) -> None:
    done = filmgate(*arguments)
    assert done.returncode == 2
    assert hint in done.stderr


def test_a_misspelled_asset_or_setting_is_named_too(filmgate: Filmgate) -> None:
    done = filmgate("status", ASSET.replace("rather", "rathr"))
    assert done.returncode == 5
    assert f"Did you mean {ASSET}?" in done.stderr
    done = filmgate("run", "episode", "x.mkv", "--set", "detect.rat=2")
    assert "Did you mean detect.rate?" in done.stderr
    assert "detect.min_iou" in done.stderr
    assert "ocr." not in done.stderr


def test_a_run_without_a_pipeline_explains_itself(filmgate: Filmgate) -> None:
    done = filmgate("run", "film.mp4")
    assert done.returncode == 2
    assert "filmgate run episode film.mp4" in done.stderr


def test_a_link_is_refused_since_links_are_not_fetched(filmgate: Filmgate) -> None:
    done = filmgate("run", "episode", "https://example.org/film.mp4")
    assert done.returncode == 2
    assert "Links are not fetched" in done.stderr


def test_a_rulebook_run_without_input_names_the_option(filmgate: Filmgate) -> None:
    done = filmgate("run", "rulebook")
    assert done.returncode == 2
    assert "--uploads" in done.stderr


def test_a_home_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    done = Filmgate(Path(os.devnull))("status")
    assert done.returncode == 4
    assert "FILMGATE_HOME is not a folder" in done.stderr


def test_every_setting_is_listed_with_type_default_range_and_meaning(filmgate: Filmgate) -> None:
    listed = {
        f"{each['stage']}.{each['name']}": each
        for each in filmgate.json("settings", "episode", "--profile", "fast")["settings"]
    }
    rate = listed["detect.rate"]
    assert (rate["type"], rate["range"]) == ("float", "> 0, <= 120")
    assert rate["meaning"]
    assert all(each["meaning"] for each in listed.values())
    assert "detect.rate" in filmgate("settings", "episode", "detect").stdout
    assert "ocr." not in filmgate("settings", "episode", "detect").stdout


def test_runs_are_listed_newest_first_and_by_asset_state_and_time(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    other = film_of_shots(tmp_path / "other.mkv", [25])
    filmgate.json("run", "episode", other)
    listed = filmgate.json("status")["runs"]
    assert [run["asset"]["id"] for run in listed] == ["other", ASSET]
    assert len(filmgate.json("status", "--limit", "1")["runs"]) == 1
    (mine,) = filmgate.json("status", "--asset", ASSET)["runs"]
    assert mine["asset"]["id"] == ASSET
    assert filmgate.json("status", "--state", "failed")["runs"] == []
    assert len(filmgate.json("status", "--since", "1h")["runs"]) == 2
    assert filmgate.json("status", "--since", "2999-01-01")["runs"] == []
    assert filmgate("status", "--since", "yesterday").returncode == 2


def test_a_run_of_chosen_stages_says_why_it_is_not_served(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    film = film_of_shots(tmp_path / "part.mkv", [25])
    filmgate("run", "episode", film, "--stages", "probe,scenes")
    shown = filmgate("status", "part").stdout
    assert shown.startswith("INCOMPLETE")
    assert "neither served nor published" in shown


def test_assets_runs_and_stages_are_completed(filmgate: Filmgate) -> None:
    run = filmgate.json("status", ASSET)["run_id"]

    def completed(*words: str) -> str:
        env = {
            **filmgate.env,
            "_FILMGATE_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(["filmgate", *words]),
            "COMP_CWORD": str(len(words)),
        }
        program = str(Path(sys.executable).with_name("filmgate"))
        done = subprocess.run(
            [program], env=env, cwd=filmgate.cwd, capture_output=True, text=True, check=False
        )
        return done.stdout

    assert "status" in completed("stat").split()
    assert ASSET in completed("jump", "a-f").split()
    assert f"{ASSET}/{run}" in completed("status", f"{ASSET}/").split()
    assert "scenes" in completed("logs", ASSET, "sc").split()


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (1, "scenes", "1 scene"),
        (7, "scenes", "7 scenes"),
        (1, "subtitle tracks", "1 subtitle track"),
        (1, "characters skipped", "1 character skipped"),
        (1, "people", "1 person"),
        (1, "entities", "1 entity"),
        (1, "batches", "1 batch"),
        (0, "failed", "0 failed"),
        (1, "failed", "1 failed"),
        (1200, "rows", "1,200 rows"),
    ],
)
def test_a_count_has_the_right_plural(count: int, noun: str, text: str) -> None:
    assert counted(count, noun) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0:00.0"), (10_000, "0:10.0"), (59_999, "0:59.9"), (3_723_450, "1:02:03.4")],
)
def test_a_time_is_short(ms: int, text: str) -> None:
    assert short_clock(ms) == text


def test_one_altered_file_is_one_cause_with_the_stages_that_it_blocks(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    film = film_of_shots(tmp_path / "altered.mkv", [25, 25])
    manifest = filmgate.json("run", "episode", film)
    scenes = filmgate.folder(manifest) / "scenes.jsonl"
    scenes.write_bytes(scenes.read_bytes()[:-20])
    done = filmgate("verify", "altered")
    assert done.returncode == 3
    assert done.stdout.count("scenes.jsonl") == 1
    cause = done.stdout.index("scenes.jsonl")
    assert cause < done.stdout.index("blocked stages:")
    reasons = json.dumps(filmgate.json("verify", "altered", code=3)["stages"])
    assert reasons.count("digest_mismatch") >= 1
