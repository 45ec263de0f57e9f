"""The command line on the archive: select, search, list and show provenance."""

import json
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from support.command import WITHOUT_SLOW_STAGES, Filmgate
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
def test_a_run_can_be_selected_for_one_query_and_permanently(filmgate: Filmgate) -> None:
    jump = ("jump", "film", "--kind", "scene")

    def profile(*arguments: str) -> str:
        return str(filmgate.json(*jump, *arguments)["artifact"]["model_profile"])

    assert profile() == "fast"
    assert profile("--profile", "high_quality") == "high_quality"
    assert profile("--selection", "best_quality") == "high_quality"
    snapshot = filmgate.json("select", "film", "scene", "--selection", "best_quality")
    assert snapshot["served"]["scene"]["selection"]["mode"] == "best_quality"
    assert (profile(), profile("--selection", "latest")) == ("high_quality", "fast")
    saved = filmgate.home.parent / "saved.json"
    saved.write_text(filmgate(*jump, "--json").stdout)
    filmgate.json("select", "film", "scene", "--selection", "default")
    assert profile() == "fast"
    pinned = filmgate.json("select", "film", "--runs", saved)
    assert pinned["served"]["scene"]["selection"]["mode"] == "pinned"
    assert profile() == "high_quality"
    assert filmgate("select", "film").stdout.count("default") == 1
    entries = filmgate.json("profiles", "film", "scene")["profiles"]
    assert [(e["model_profile"], e["is_served"]) for e in entries] == [
        ("high_quality", True),
        ("fast", False),
    ]


def test_a_jump_without_a_position_goes_to_the_first_or_the_last(
    filmgate: Filmgate,
) -> None:
    def start(*arguments: str) -> int:
        answer = filmgate.json("jump", "film", "--kind", "scene", *arguments)
        return int(answer["artifact"]["span_start_ms"])

    assert start() == 0
    assert start("--direction", "prev") == 2000
    assert start("--from-ms", "0") == 1000
    assert len(filmgate.json("find", "film", "rocket", "--from-ms", "-1")["hits"]) == 1


@pytest.mark.proof
def test_a_snapshot_of_a_run_that_was_changed_since_is_refused(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    snapshot = filmgate.json("select", "film")
    snapshot["served"]["scene"]["manifest_sha256"] = "0" * 64
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(snapshot))
    before = filmgate.json("select", "film")
    done = filmgate("select", "film", "--runs", changed)
    assert (done.returncode, "does not match its manifest" in done.stderr) == (6, True)
    assert filmgate.json("select", "film") == before


@pytest.mark.proof
def test_search_covers_all_films_and_artifacts_have_a_provenance(
    filmgate: Filmgate,
) -> None:
    (hit,) = filmgate.json("search", "gates")["hits"]
    assert hit["artifact"]["span_start_ms"] == 1500
    assert "gate" in filmgate("search", "gates").stdout
    page = filmgate.json("artifacts", "film", "--from-ms", 1500, "--to-ms", 1600)
    assert [a["artifact_type"] for a in page["artifacts"]] == ["scene", "transcript.segment"]
    provenance = filmgate.json("provenance", hit["artifact"]["artifact_id"])
    assert [link["stage"] for link in provenance["chain"]] == ["transcript", "probe"]
    assert provenance["chain"][0]["stands_on"] == ["probe"]
    assert provenance["is_served"]
    for text in ("producer", "sha256:", "probe"):
        assert text in filmgate("provenance", hit["artifact"]["artifact_id"]).stdout
    counts = filmgate.json("db", "rebuild-projections")["projections"]
    assert counts["transcript_fts"] == 4
    assert filmgate.json("search", "gates")["hits"] == [hit]


def test_artifacts_of_an_older_product_are_labelled(filmgate: Filmgate, tmp_path: Path) -> None:
    old = tmp_path / "scenes.jsonl"
    old.write_text(json.dumps({"start_ms": 5, "end_ms": 6, "method": "cut"}) + "\n")
    assert filmgate.json("db", "import-legacy", "older", old)["imported"][0]["artifacts"] == 1
    answer = filmgate.json("jump", "older", "--kind", "scene")
    assert answer["data_source"] == "legacy"
    assert "model and config are unknown" in filmgate("artifacts", "older").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("select", "film", "scene"), 2, "a selection is for one type"),
        (("select", "film", "--profile", "fast"), 2, "a selection is for one type"),
        (("select", "film", "scene", "--profile", "balanced"), 5, "under profile 'balanced'"),
        (("select", "film", "scene", "--selection", "pinned"), 2, "needs a run"),
        (("select", "film", "--runs", "nope.json"), 4, "does not name any runs of film"),
        (
            ("select", "film", "scene", "--artifact", "b:r:scene:0"),
            2,
            "does not match the asset and type",
        ),
        (
            ("select", "film", "scene", "--artifact", "film:r:ocr.text:0"),
            2,
            "does not match the asset and type",
        ),
        (
            ("select", "film", "scene", "--artifact", "film:r:scene:0", "--run", "r"),
            2,
            "a selection",
        ),
        (("find", "film", "x" * 2001), 2, "at most 2000 characters"),
        (("find", "film", "--limt", "1", "x"), 2, "option --limt does not exist"),
        (("db", "import-legacy", "film", ""), 2, "the source is missing"),
        (
            ("db", "import-legacy", "film", "x.csv", "--type", "We:ird"),
            2,
            "artifact type is invalid",
        ),
        (
            ("provenance", "film:legacy:scene:0"),
            5,
            "the provenance of film:legacy:scene:0 is unknown",
        ),
        (("select", "nope"), 5, "asset 'nope' is not in the database"),
        (("jump", "film", "--kind", "scene", "--label", "x"), 2, "cannot be filtered by label"),
        (("jump", "film", "--kind", "scene", "--run", "nope"), 5, "in run 'nope'"),
        (("artifacts", "film", "--cursor", "nope"), 2, "cursor is invalid"),
        (("provenance", "nope"), 4, "artifact id is invalid"),
        (
            ("provenance", "film:nope:scene:0"),
            5,
            "artifact film:nope:scene:0 is not in the database",
        ),
        (("db", "import-legacy", "film", "nope.csv"), 5, "nope.csv does not exist"),
    ],
)
def test_a_refused_command_reports_the_reason(
    filmgate: Filmgate, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = filmgate(*arguments)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr


@pytest.mark.nightly
def test_an_interrupted_run_is_stored_and_does_not_stay_running(
    tmp_path: Path, database_url: str
) -> None:
    command = Filmgate(tmp_path / "home", database_url)
    film = film_of_shots(tmp_path / "film.mkv", [400, 400, 400])
    running = subprocess.Popen(
        [*command.command, "run", "episode", str(film), *WITHOUT_SLOW_STAGES],
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
    assert status() in {"failed", "incomplete"}
    command.json("run", "episode", film)
    assert status() == "completed"
