"""From the command line: choose what is served, search, list, and ask where things come from."""

import json
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from support.command import LIGHT, Filmgate
from support.films import film_of_shots

CUES = """1
00:00:00,100 --> 00:00:01,000
The rocket waits.

2
00:00:01,500 --> 00:00:02,500
Nobody moves: the gate is checked.
"""


@pytest.fixture(scope="module")
def filmgate(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Filmgate:
    """Two runs of a small film, under two profiles."""
    folder = tmp_path_factory.mktemp("archive")
    command = Filmgate(folder / "home", module_database_url)
    film = film_of_shots(folder / "film.mkv", [25, 25, 25])
    (folder / "film.srt").write_text(CUES)
    for profile in ("high_quality", "fast"):
        command.json("run", "episode", film, "--profile", profile, "--new")
    return command


@pytest.mark.proof
def test_a_run_can_be_chosen_for_one_question_and_for_good(filmgate: Filmgate) -> None:
    jump = ("jump", "film", "--kind", "scene")

    def profile(*arguments: str) -> str:
        return str(filmgate.json(*jump, *arguments)["artifact"]["model_profile"])

    assert profile() == "fast"
    assert profile("--profile", "high_quality") == "high_quality"
    assert profile("--selection", "best_quality") == "high_quality"
    snapshot = filmgate.json("select", "film", "scene", "--selection", "best_quality")
    assert snapshot["served"]["scene"]["selection"]["mode"] == "best_quality"
    assert (profile(), profile("--selection", "latest")) == ("high_quality", "fast")
    kept = filmgate.home.parent / "kept.json"
    kept.write_text(filmgate(*jump, "--json").stdout)
    filmgate.json("select", "film", "scene", "--selection", "default")
    assert profile() == "fast"
    pinned = filmgate.json("select", "film", "--runs", kept)
    assert pinned["served"]["scene"]["selection"]["mode"] == "pinned"
    assert profile() == "high_quality"
    assert filmgate("select", "film").stdout.count("default") == 1
    entries = filmgate.json("profiles", "film", "scene")["profiles"]
    assert [(e["model_profile"], e["is_served"]) for e in entries] == [
        ("high_quality", True),
        ("fast", False),
    ]


def test_one_who_stands_nowhere_jumps_to_the_first_and_back_to_the_last(
    filmgate: Filmgate,
) -> None:
    def start(*arguments: str) -> int:
        told = filmgate.json("jump", "film", "--kind", "scene", *arguments)
        return int(told["artifact"]["span_start_ms"])

    assert start() == 0
    assert start("--direction", "prev") == 2000
    assert start("--from-ms", "0") == 1000
    assert len(filmgate.json("find", "film", "rocket", "--from-ms", "-1")["hits"]) == 1


@pytest.mark.proof
def test_a_snapshot_of_a_run_that_was_changed_since_is_refused(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    told = filmgate.json("select", "film")
    told["served"]["scene"]["manifest_sha256"] = "0" * 64
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(told))
    before = filmgate.json("select", "film")
    done = filmgate("select", "film", "--runs", changed)
    assert (done.returncode, "is not what it was" in done.stderr) == (6, True)
    assert filmgate.json("select", "film") == before


@pytest.mark.proof
def test_words_are_found_in_all_films_and_artifacts_tell_where_they_come_from(
    filmgate: Filmgate,
) -> None:
    (hit,) = filmgate.json("search", "gates")["hits"]
    assert hit["artifact"]["span_start_ms"] == 1500
    assert "gate" in filmgate("search", "gates").stdout
    page = filmgate.json("artifacts", "film", "--from-ms", 1500, "--to-ms", 1600)
    assert [a["artifact_type"] for a in page["artifacts"]] == ["scene", "transcript.segment"]
    told = filmgate.json("provenance", hit["artifact"]["artifact_id"])
    assert [link["stage"] for link in told["chain"]] == ["transcript", "probe"]
    assert told["chain"][0]["stands_on"] == ["probe"]
    assert told["is_served"]
    for text in ("made by", "sha256:", "probe"):
        assert text in filmgate("provenance", hit["artifact"]["artifact_id"]).stdout
    counts = filmgate.json("db", "rebuild-projections")["projections"]
    assert counts["transcript_fts"] == 4
    assert filmgate.json("search", "gates")["hits"] == [hit]


def test_what_an_older_product_left_is_labelled(filmgate: Filmgate, tmp_path: Path) -> None:
    old = tmp_path / "scenes.jsonl"
    old.write_text(json.dumps({"start_ms": 5, "end_ms": 6, "method": "cut"}) + "\n")
    assert filmgate.json("db", "import-legacy", "older", old)["imported"][0]["artifacts"] == 1
    answer = filmgate.json("jump", "older", "--kind", "scene")
    assert answer["data_source"] == "legacy"
    assert "nobody knows how it was made" in filmgate("artifacts", "older").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("select", "film", "scene"), 2, "a choice is for one type"),
        (("select", "film", "--profile", "fast"), 2, "a choice is for one type"),
        (("select", "film", "scene", "--profile", "balanced"), 5, "under profile 'balanced'"),
        (("select", "film", "scene", "--selection", "pinned"), 2, "needs a run"),
        (("select", "film", "--runs", "nope.json"), 4, "names no runs of film"),
        (("select", "film", "scene", "--artifact", "b:r:scene:0"), 2, "of something else"),
        (("select", "film", "scene", "--artifact", "film:r:ocr.text:0"), 2, "of something else"),
        (("select", "film", "scene", "--artifact", "film:r:scene:0", "--run", "r"), 2, "a choice"),
        (("find", "film", "x" * 10_001), 2, "this question is too long"),
        (("find", "film", "--limt", "1", "x"), 2, "no option --limt"),
        (("db", "import-legacy", "film", ""), 2, "no source was named"),
        (("db", "import-legacy", "film", "x.csv", "--type", "We:ird"), 2, "no artifact type"),
        (("provenance", "film:legacy:scene:0"), 5, "nothing is known of where"),
        (("select", "nope"), 5, "no asset 'nope'"),
        (("jump", "film", "--kind", "scene", "--label", "x"), 2, "cannot be narrowed by label"),
        (("jump", "film", "--kind", "scene", "--run", "nope"), 5, "in run 'nope'"),
        (("artifacts", "film", "--cursor", "nope"), 2, "no cursor"),
        (("provenance", "nope"), 4, "no artifact id"),
        (("provenance", "film:nope:scene:0"), 5, "no artifact film:nope:scene:0"),
        (("db", "import-legacy", "film", "nope.csv"), 5, "no file or folder nope.csv"),
    ],
)
def test_what_cannot_be_answered_says_why(
    filmgate: Filmgate, arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = filmgate(*arguments)
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr


@pytest.mark.nightly
def test_an_interrupted_run_is_known_and_does_not_stay_running(
    tmp_path: Path, database_url: str
) -> None:
    command = Filmgate(tmp_path / "home", database_url)
    film = film_of_shots(tmp_path / "film.mkv", [400, 400, 400])
    running = subprocess.Popen(
        [*command.command, "run", "episode", str(film), *LIGHT],
        env=command.env,
        cwd=command.cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def status() -> str | None:
        with psycopg.connect(database_url) as connection:
            row = connection.execute("select to_regclass('pipeline.run_stages')").fetchone()
            if row is None or row[0] is None:
                return None
            found = connection.execute("select status from runs").fetchone()
            return str(found[0]) if found else None

    deadline = time.monotonic() + 60
    while status() != "running" and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    assert status() in {"failed", "incomplete"}, "as far as it had come"
    command.json("run", "episode", film)
    assert status() == "completed"
