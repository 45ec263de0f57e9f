"""The episode pipeline with the command line, as a person or a script uses it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from support.command import WITHOUT_SLOW_STAGES, Filmgate
from support.films import COLOURS, film_of_shots, picture, write_film, write_tone

SRT = """1
00:00:00,200 --> 00:00:00,900
Check the gate

2
00:00:01,300 --> 00:00:01,900
Moving on
"""


@pytest.fixture
def filmgate(tmp_path: Path, database_url: str) -> Filmgate:
    return Filmgate(tmp_path / "home", database_url)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    (folder / "words.srt").write_text(SRT)
    return film_of_shots(folder / "gate.mkv", [25, 20, 30], subtitles=folder / "words.srt")


def artifact_bytes(folder: Path) -> dict[str, bytes]:
    return {
        name: (folder / name).read_bytes()
        for name in ("probe.json", "scenes.jsonl", "transcript.jsonl")
    }


def test_from_file_to_answer(filmgate: Filmgate, film: Path) -> None:
    manifest = filmgate.json("run", "episode", film)
    assert manifest["status"] == "SUCCESS"
    done = [name for name, entry in manifest["stages"].items() if entry["status"] == "SUCCESS"]
    assert done == ["probe", "scenes", "transcript"]
    jumped = filmgate.json("jump", "gate", "--kind", "scene", "--from-ms", 500)
    assert jumped["artifact"]["span_start_ms"] == 1000
    assert jumped["artifact"]["payload"]["frame_number"] == 25
    assert jumped["runs"] == {"scene": manifest["run_id"]}
    found = filmgate.json("find", "gate", "moving")
    assert [hit["artifact"]["span_start_ms"] for hit in found["hits"]] == [1300]
    assert filmgate.json("status", "gate") == manifest
    assert filmgate.json("ingest", "gate")["is_replay"]


def test_the_time_base_certificate_describes_what_was_decoded(
    filmgate: Filmgate, film: Path
) -> None:
    manifest = filmgate.json("run", "episode", film, "--stages", "probe", "--no-ingest")
    assert manifest["status"] == "INCOMPLETE"
    probe = json.loads((filmgate.folder(manifest) / "probe.json").read_bytes())
    assert probe["duration_ms"] == 3000
    assert probe["video"]["time_base"]["frame_count"] == 75
    assert not probe["video"]["time_base"]["is_variable_rate"]


@pytest.mark.proof
def test_run_prints_a_table_and_the_next_command(filmgate: Filmgate, film: Path) -> None:
    done = filmgate("run", "episode", film)
    for words in ("SUCCESS", "3 scenes", "2 segments", "filmgate jump gate --kind scene"):
        assert words in done.stdout
    found = filmgate("find", "gate", "gate").stdout
    assert found.split() == ["0:00:00.200", "Check", "the", "gate"]
    assert "gate" in filmgate("status").stdout


@pytest.mark.parametrize("how", [pytest.param("truncated", marks=pytest.mark.nightly), "flipped"])
def test_a_tampered_file_is_refused_with_exit_code_3_and_both_digests(
    filmgate: Filmgate, film: Path, how: str
) -> None:
    first = filmgate.json("run", "episode", film, "--stages", "probe", "--no-ingest")
    path = filmgate.folder(first) / "probe.json"
    stat, data = path.stat(), bytearray(path.read_bytes())
    if how == "truncated":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    blocked = filmgate.json("run", "episode", film, "--no-ingest", code=3)
    assert blocked["run_id"] == first["run_id"]
    reason = blocked["stages"]["scenes"]["blocked"]["reasons"][0]
    (ref,) = first["stages"]["probe"]["artifacts"]
    assert (reason["code"], reason["path"]) == ("digest_mismatch", "probe.json")
    assert ref["sha256"] in reason["expected"]
    output = filmgate("run", "episode", film, "--no-ingest").stdout
    assert "probe.json" in output
    assert ref["sha256"] in output
    repaired = filmgate.json("run", "episode", film, "--repair")
    assert repaired["status"] == "SUCCESS"
    assert repaired["stages"]["probe"]["artifacts"] == first["stages"]["probe"]["artifacts"]


@pytest.mark.proof
def test_a_run_killed_during_each_stage_resumes_to_the_same_bytes(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    long = film_of_shots(tmp_path / "long.mkv", [400] * 6)
    (tmp_path / "long.srt").write_text(
        "\n".join(
            f"{n}\n00:00:{n % 60:02},000 --> 00:00:{n % 60:02},900\nline {n}\n"
            for n in range(1, 8000)
        )
    )
    clean = filmgate.json("run", "episode", long, "--run-id", "clean", "--no-ingest")
    command = [*filmgate.command, "run", "episode", str(long), *WITHOUT_SLOW_STAGES, "--no-ingest"]
    runs = filmgate.home / "manifests" / "long" / "runs"
    for stage, option in (("probe", "--new"), ("scenes", "--json"), ("transcript", "--json")):
        with subprocess.Popen(
            [*command, option],
            env=filmgate.env,
            cwd=filmgate.home.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as child:
            deadline = time.monotonic() + 60
            while not list(runs.glob(f"Attempt*/attempts/{stage}.a1")):
                assert child.poll() is None, "the stage ended before it could be killed"
                assert time.monotonic() < deadline
                time.sleep(0.001)
            os.kill(child.pid, signal.SIGKILL)
    resumed = filmgate.json("run", "episode", long, "--no-ingest")
    assert resumed["run_id"].startswith("Attempt")
    for stage in ("probe", "scenes", "transcript"):
        assert resumed["stages"][stage]["attempt"] == 2
    assert resumed["status"] == "SUCCESS"
    assert artifact_bytes(filmgate.folder(resumed)) == artifact_bytes(filmgate.folder(clean))


@pytest.mark.proof
def test_a_terminated_run_exits_with_130_and_can_be_resumed(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    long = film_of_shots(tmp_path / "long.mkv", [400] * 4)
    command = [*filmgate.command, "run", "episode", str(long), *WITHOUT_SLOW_STAGES, "--no-ingest"]
    with subprocess.Popen(
        command, env=filmgate.env, cwd=filmgate.home.parent, stderr=subprocess.DEVNULL
    ) as child:
        runs = filmgate.home / "manifests" / "long" / "runs"
        while not list(runs.glob("Attempt*/attempts/scenes.a1")):
            assert child.poll() is None
            time.sleep(0.001)
        child.terminate()
    assert child.returncode == 130
    status = filmgate.json("status", "long")
    assert status["stages"]["scenes"]["error"]["code"] == "interrupted"
    assert filmgate.json("run", "episode", long, "--no-ingest")["run_id"] == status["run_id"]


@pytest.mark.parametrize(
    ("timezone", "locale", "seed", "umask"),
    [
        ("Asia/Tokyo", "C", "1", 0o077),
        pytest.param("America/Lima", "C.UTF-8", "2", 0o022, marks=pytest.mark.proof),
    ],
)
def test_artifact_files_are_the_same_bytes_in_any_environment(
    filmgate: Filmgate,
    film: Path,
    tmp_path: Path,
    timezone: str,
    locale: str,
    seed: str,
    umask: int,
) -> None:
    first = filmgate.json("run", "episode", film, "--run-id", "first", "--no-ingest")
    filmgate.env |= {"TZ": timezone, "LC_ALL": locale, "PYTHONHASHSEED": seed}
    filmgate.cwd = tmp_path / "elsewhere"
    filmgate.cwd.mkdir()
    before = os.umask(umask)
    try:
        second = filmgate.json("run", "episode", film, "--run-id", "second", "--no-ingest")
    finally:
        os.umask(before)
    assert artifact_bytes(filmgate.folder(first)) == artifact_bytes(filmgate.folder(second))
    fingerprints = [
        [entry["fingerprint"] for entry in manifest["stages"].values()]
        for manifest in (first, second)
    ]
    assert fingerprints[0] == fingerprints[1]


def test_an_episode_may_have_sound_only(filmgate: Filmgate, tmp_path: Path) -> None:
    manifest = filmgate.json("run", "episode", write_tone(tmp_path / "hum.wav", 2))
    assert manifest["stages"]["scenes"]["status"] == "SKIPPED"
    assert manifest["stages"]["scenes"]["reason"] == "no video track"
    assert manifest["stages"]["transcript"]["counts"] == {"segments": 0, "words": 0}


@pytest.mark.proof
def test_a_silent_film_without_subtitles_has_no_transcript_with_a_reason(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    manifest = filmgate.json("run", "episode", film_of_shots(tmp_path / "mute.mkv", [30]))
    assert manifest["status"] == "SUCCESS"
    assert manifest["stages"]["transcript"]["reason"] == "no subtitles and no audio"
    assert filmgate.json("find", "mute", "anything")["hits"] == []


def test_one_frame_is_one_scene(filmgate: Filmgate, tmp_path: Path) -> None:
    film = write_film(tmp_path / "still.mkv", [0], [picture(COLOURS[0])])
    manifest = filmgate.json("run", "episode", film)
    assert manifest["stages"]["scenes"]["counts"] == {"frames": 1, "scenes": 1}


@pytest.mark.proof
def test_a_side_car_is_an_input_like_the_film(filmgate: Filmgate, tmp_path: Path) -> None:
    film = film_of_shots(tmp_path / "film.mkv", [50])
    side_car = tmp_path / "film.en.srt"
    side_car.write_text(SRT)
    manifest = filmgate.json("run", "episode", film, "--run-id", "one")
    assert sorted(manifest["source_sha_map"]) == ["film.en.srt", "film.mkv"]
    assert manifest["stages"]["transcript"]["metrics"]["source"] == "side-car subtitles"
    side_car.write_text(SRT.replace("Moving", "Going"))
    blocked = filmgate.json("run", "episode", film, "--run-id", "one", code=3)
    (reason,) = blocked["stages"]["transcript"]["blocked"]["reasons"]
    assert (reason["code"], reason["path"]) == ("input_changed", "film.en.srt")
    assert filmgate.json("run", "episode", film)["run_id"] != "one"


@pytest.mark.proof
def test_a_run_may_have_its_own_folder(filmgate: Filmgate, film: Path, tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "mine"
    for _ in range(2):
        assert filmgate.json("run", "episode", film, "--job-dir", folder)["run_id"] == "mine"
    assert filmgate.json("status", folder)["status"] == "SUCCESS"


@pytest.mark.proof
def test_two_runs_of_one_asset_are_two_attempts_and_the_newest_is_served(
    filmgate: Filmgate, film: Path
) -> None:
    first, second = (filmgate.json("run", "episode", film) for _ in range(2))
    assert first["run_id"].startswith("Attempt1_")
    assert second["run_id"].startswith("Attempt2_")
    served = filmgate.json("jump", "gate", "--kind", "scene")["runs"]
    assert served == {"scene": second["run_id"]}


def test_a_run_succeeds_while_the_database_is_unreachable(tmp_path: Path, film: Path) -> None:
    filmgate = Filmgate(tmp_path / "home", "postgresql://me:secret@127.0.0.1:1/db")
    done = filmgate("run", "episode", film)
    assert done.returncode == 7
    assert "not ingested" in done.stderr
    runs = tmp_path / "home" / "manifests" / "gate" / "runs"
    (run,) = (path for path in runs.iterdir() if path.is_dir())
    assert f"filmgate ingest {run}" in " ".join(done.stderr.split())
    assert filmgate.json("status", "gate")["status"] == "SUCCESS"
    assert filmgate("run", "episode", film, "--new", "--no-ingest").returncode == 0
    assert "secret" not in done.stdout + done.stderr
    assert filmgate.json("ingest", "gate", code=7)["error"] == "unavailable"


def test_a_run_that_the_database_refuses_ends_with_exit_code_1_and_says_how_to_ingest_it(
    tmp_path: Path, film: Path, database_url: str
) -> None:
    filmgate = Filmgate(tmp_path / "home", database_url)
    assert filmgate("people", "list").returncode == 0
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("delete from filmgate.alembic_version")
        connection.execute("insert into filmgate.alembic_version values ('9999')")
    done = filmgate("run", "episode", film)
    assert done.returncode == 1
    assert "another version of Filmgate" in done.stderr
    assert "filmgate ingest" in done.stderr
    assert filmgate.json("status", "gate")["status"] == "SUCCESS"


BAD_INPUT = {
    "empty.mp4": (b"", 4),
    "text.mp4": (b"this is not a video\n", 4),
    "words.srt": (SRT.encode(), 4),
    "folder": (None, 4),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_gets_one_clear_error_and_leaves_nothing_behind(
    filmgate: Filmgate, tmp_path: Path, name: str
) -> None:
    content, code = BAD_INPUT[name]
    path = tmp_path / name
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    error = filmgate.json("run", "episode", path, code=code)
    assert error["details"]["expected"]
    assert error["details"]["got"]
    assert set(error) == {"error", "message", "details", "timestamp"}
    assert not (filmgate.home / "manifests").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--job-dir", "a/../b"], 4),
        (["--asset-id", "a/b"], 4),
        (["--run-id", "../../x"], 4),
        (["--stages", "nope"], 2),
        (["--profile", "nope"], 4),
        (["--stages", "probe", "--resume-from", "scenes"], 4),
        (["--job-dir", ""], 4),
        (["--nope"], 2),
    ],
)
def test_a_bad_option_gets_the_right_exit_code_and_leaves_nothing_behind(
    filmgate: Filmgate, film: Path, arguments: list[str], code: int
) -> None:
    done = filmgate("run", "episode", film, *arguments)
    assert done.returncode == code
    assert done.stderr
    assert not (filmgate.home / "manifests").exists()


@pytest.mark.proof
def test_new_refuses_the_id_of_an_existing_run(filmgate: Filmgate, film: Path) -> None:
    filmgate.json("run", "episode", film, "--run-id", "mine", "--no-ingest")
    filmgate.json("run", "episode", film, "--run-id", "mine", "--new", code=4)


@pytest.mark.proof
def test_an_unreadable_side_car_is_reported_and_other_subtitles_are_used(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    subtitles = tmp_path / "inside.srt"
    subtitles.write_text(SRT)
    film = film_of_shots(tmp_path / "film.mkv", [50], subtitles=subtitles)
    (tmp_path / "film.srt").write_bytes(b"")
    manifest = filmgate.json("run", "episode", film)
    assert manifest["stages"]["transcript"]["metrics"]["source"] == "embedded subtitles"
    codes = [warning["code"] for warning in manifest["stages"]["transcript"]["warnings"]]
    assert codes == ["side_car_unreadable", "no_words"]


@pytest.mark.proof
def test_a_truncated_film_is_reported_as_incomplete(filmgate: Filmgate, tmp_path: Path) -> None:
    whole = film_of_shots(tmp_path / "whole.mkv", [400] * 3)
    half = tmp_path / "half.mkv"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    done = filmgate("run", "episode", half, "--no-ingest")
    assert done.returncode == 0
    assert "the file may be incomplete" in done.stdout


@pytest.mark.proof
def test_texts_cannot_control_the_terminal(filmgate: Filmgate, tmp_path: Path) -> None:
    film = film_of_shots(tmp_path / "film.mkv", [50])
    (tmp_path / "film.srt").write_text(SRT.replace("Check", "\x1b[31mCheck"))
    filmgate.json("run", "episode", film)
    assert "\x1b" not in filmgate("find", "film", "gate").stdout


@pytest.mark.proof
def test_a_minus_excludes_a_word(filmgate: Filmgate, film: Path) -> None:
    filmgate.json("run", "episode", film)
    assert len(filmgate.json("find", "gate", "moving", "-check")["hits"]) == 1
    assert filmgate.json("find", "gate", "gate", "-check")["hits"] == []


def test_a_home_that_cannot_be_written_is_reported(tmp_path: Path, film: Path) -> None:
    (tmp_path / "home").touch()
    error = Filmgate(tmp_path / "home").json("run", "episode", film, code=4)
    assert error["error"] == "invalid"


def test_with_json_every_error_is_one_document(filmgate: Filmgate, film: Path) -> None:
    assert filmgate.json("find", "gate", code=2)["error"] == "usage"
    assert filmgate.json("run", "episode", film, "--stages", "nope", code=2)["error"] == "usage"


@pytest.mark.proof
def test_what_does_not_exist_is_reported_with_exit_code_5(
    filmgate: Filmgate, tmp_path: Path
) -> None:
    for arguments in (
        ["run", "episode", str(tmp_path / "nope.mp4")],
        ["status", "nope"],
        ["find", "nope", "words"],
        ["jump", "nope", "--kind", "scene"],
        ["ingest", "nope"],
    ):
        assert filmgate(*arguments).returncode == 5, arguments


def test_help_is_printed_without_loading_heavy_modules() -> None:
    script = (
        "import sys\nfrom filmgate.cli.invocation import call\ncall(['--help'])\n"
        "heavy = {'pydantic', 'av', 'cv2', 'numpy', 'psycopg', 'sqlalchemy', 'structlog'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"
