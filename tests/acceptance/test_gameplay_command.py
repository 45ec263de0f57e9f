"""Game sessions from archives to a quality manifest, on the command line."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filmgate.pipelines.gameplay.files import ORIGINAL_COLUMNS
from filmgate.tools.sample_sessions import draw_session, inputs_csv, session_tar, write_tar
from support.command import Filmgate
from support.s3 import new_bucket

SIZE = (320, 180)
SMALL = ("--set", "extraction.shorter_side=180")


@pytest.fixture
def filmgate(tmp_path: Path) -> Filmgate:
    return Filmgate(tmp_path / "home")


def draw_recording(path: Path, kind: str) -> Path:
    """Draw a recording of 20 s of this kind."""
    for _ in draw_session(path, kind, SIZE):
        pass
    return path


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good and bad archives."""
    videos = tmp_path_factory.mktemp("videos")
    folder = tmp_path_factory.mktemp("sessions") / "tars"
    pressed = inputs_csv(
        [(k / 4, "KEYBOARD", f"[87,{str(k % 2 == 0).lower()}]") for k in range(80)]
    )
    quiet = inputs_csv([(5.9, "KEYBOARD", "[27,true]"), (14.1, "KEYBOARD", "[27,true]")])
    for kind, log in (("moving", pressed), ("frozen", pressed), ("menu", quiet)):
        session_tar(
            folder / "day 1" / f"{kind}.tar",
            draw_recording(videos / f"{kind}.mp4", kind),
            inputs=log,
        )
    (folder / "empty.tar").touch()
    write_tar(folder / "bare.tar", {"recording.mp4": videos / "moving.mp4"})
    task_list = ["# all", *sorted(str(p.relative_to(folder)) for p in folder.rglob("*.tar"))]
    (folder.parent / "list.txt").write_text("\n".join([*task_list, "missing.tar"]))
    return folder


def run(filmgate: Filmgate, sessions: Path, *arguments: object, code: int = 0) -> dict[str, Any]:
    places = ("--source-bucket", sessions, "--manifest-bucket", filmgate.cwd / "pt")
    task_list = ("--task-list", sessions.parent / "list.txt")
    line = ("run", "gameplay", *task_list, *places, "--no-ingest", *SMALL, *arguments)
    return filmgate.json(*line, code=code)


def table(filmgate: Filmgate, manifest: dict[str, Any]) -> pa.Table:
    return pq.read_table(filmgate.folder(manifest) / "quality_manifest.parquet")


def rows(filmgate: Filmgate, manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["s3_key"]: row for row in table(filmgate, manifest).to_pylist()}


def flags(row: dict[str, Any]) -> set[str]:
    return {name for name, value in row.items() if value is True}


@pytest.fixture(scope="module")
def extracted(sessions: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Filmgate, Any]:
    """The command with all archives extracted and checked, and the manifest of that run."""
    filmgate = Filmgate(tmp_path_factory.mktemp("extracted") / "home")
    manifest = run(filmgate, sessions, "--output-path", filmgate.cwd / "out" / "quality.parquet")
    return filmgate, manifest


def test_sessions_are_checked_and_bad_archives_are_rows_with_their_error(
    extracted: tuple[Filmgate, Any],
) -> None:
    filmgate, manifest = extracted
    assert manifest["status"] == "SUCCESS"
    found = rows(filmgate, manifest)
    assert list(found) == sorted(found)
    assert {key: (flags(row), row["error_code"]) for key, row in found.items()} == {
        "bare.tar": (set(), "no_metadata"),
        "day 1/frozen.tar": ({"is_frozen"}, None),
        "day 1/menu.tar": ({"is_video_mostly_menu"}, None),
        "day 1/moving.tar": (set(), None),
        "empty.tar": (set(), "tar_empty"),
        "missing.tar": (set(), "not_found"),
    }
    assert found["day 1/menu.tar"]["video_menu_percent"] == pytest.approx(0.4, abs=0.05)
    assert found["day 1/menu.tar"]["video_id"] == "menu"
    assert json.loads(found["day 1/menu.tar"]["session_metadata"])["game_exe"] == "gatecheck.exe"
    counts = manifest["stages"]["extraction"]["counts"]
    assert counts == {"archives": 6, "extracted": 3, "reused": 0, "items": 6, "failed": 3}
    failures = manifest["stages"]["extraction"]["metrics"]["failures"]
    assert {code: failure["count"] for code, failure in failures.items()} == {
        "no_metadata": 1,
        "not_found": 1,
        "tar_empty": 1,
    }
    copied = filmgate.cwd / "out" / "quality.parquet"
    made = filmgate.folder(manifest) / "quality_manifest.parquet"
    assert copied.read_bytes() == made.read_bytes()


def test_another_reader_opens_the_manifest_and_its_evidence(
    extracted: tuple[Filmgate, Any],
) -> None:
    filmgate, _ = extracted
    query = f"""
        select video_id, is_frozen_evidence.events, json_extract(check_versions, '$.is_frozen')
        from '{filmgate.cwd}/out/quality.parquet' where is_frozen"""
    found = duckdb.connect().execute(query).fetchall()
    assert found == [("frozen", 79, "1")]


def test_the_checks_of_v1_make_exactly_the_columns_of_the_public_pipeline(
    extracted: tuple[Filmgate, Any], sessions: Path
) -> None:
    filmgate, _ = extracted
    manifest = run(filmgate, sessions, "--stage", "manifest", "--checks", "v1")
    assert manifest["stages"]["extraction"]["status"] == "SKIPPED"
    assert table(filmgate, manifest).schema.names == list(ORIGINAL_COLUMNS)
    assert flags(rows(filmgate, manifest)["day 1/frozen.tar"]) == set()


@pytest.mark.proof
def test_checks_are_selected_by_name_and_only_the_data_they_need_are_read(
    extracted: tuple[Filmgate, Any], sessions: Path
) -> None:
    filmgate, _ = extracted
    few = run(filmgate, sessions, "--stage", "manifest", "--checks", "is_rate_low")
    all_checks = run(filmgate, sessions, "--stage", "manifest")
    read = [m["stages"]["manifest"]["metrics"]["bytes_read"] for m in (few, all_checks)]
    assert read[0] < read[1] / 10
    assert rows(filmgate, few)["day 1/moving.tar"]["is_rate_low"] is False
    assert rows(filmgate, few)["day 1/moving.tar"]["is_video_mostly_dark"] is None
    refused = filmgate("run", "gameplay", "--task-list", sessions.parent / "list.txt",
                       "--checks", "is_nothing", "--source-bucket", sessions,
                       "--manifest-bucket", filmgate.cwd / "pt", "--stage", "manifest")  # fmt: skip
    assert refused.returncode == 4
    assert "is_rate_low" in refused.stdout + refused.stderr


@pytest.mark.proof
def test_without_a_task_list_all_extracted_sessions_below_a_prefix_are_checked(
    extracted: tuple[Filmgate, Any], sessions: Path
) -> None:
    filmgate, manifest = extracted
    places = ("--source-bucket", sessions, "--manifest-bucket", filmgate.cwd / "pt")
    line = ("run", "gameplay", "--stage", "manifest", *places, "--no-ingest")
    some = filmgate.json(*line, "--prefix", "day 1/m")
    assert list(rows(filmgate, some)) == ["day 1/menu.tar", "day 1/moving.tar"]
    whole = rows(filmgate, filmgate.json(*line))
    before = rows(filmgate, manifest)
    assert list(whole) == ["day 1/frozen.tar", "day 1/menu.tar", "day 1/moving.tar"]
    for key, row in whole.items():
        assert {**row, "processed_time": 0} == {**before[key], "processed_time": 0}


@pytest.mark.proof
def test_checking_again_reports_why_an_archive_has_no_file(
    extracted: tuple[Filmgate, Any], sessions: Path
) -> None:
    filmgate, _ = extracted
    found = rows(filmgate, run(filmgate, sessions, "--stage", "manifest"))
    assert found["empty.tar"]["error_code"] == "tar_empty"


@pytest.mark.proof
def test_without_extracted_sessions_the_error_has_a_hint_to_extract(
    filmgate: Filmgate, sessions: Path
) -> None:
    (filmgate.cwd / "pt").mkdir()
    places = ("--source-bucket", sessions, "--manifest-bucket", filmgate.cwd / "pt")
    for task_list, code in ((("--task-list", sessions.parent / "list.txt"), 1), ((), 5)):
        done = filmgate(
            "run", "gameplay", "--stage", "manifest", *task_list, *places, "--no-ingest"
        )
        assert done.returncode == code
        assert "--stage extraction" in done.stdout + done.stderr


@pytest.mark.proof
def test_an_altered_file_is_an_error_row_until_it_is_extracted_again(
    filmgate: Filmgate, sessions: Path
) -> None:
    task_list = filmgate.cwd / "one.txt"
    task_list.write_text("day 1/moving.tar\n")
    places = ("--source-bucket", sessions, "--manifest-bucket", filmgate.cwd / "pt")
    line = ("run", "gameplay", "--task-list", task_list, *places, "--no-ingest", *SMALL)
    first = filmgate.json(*line, "--stage", "extraction")
    assert first["stages"]["manifest"]["status"] == "SKIPPED"
    path = filmgate.cwd / "pt" / "day 1" / "moving.pt"
    whole = path.read_bytes()
    for bad, code in ((flip_bit(whole), "pt_altered"), (whole[:5000], "pt_unreadable")):
        path.write_bytes(bad)
        judged = filmgate.json(*line, "--stage", "manifest", code=4)
        [row] = rows(filmgate, judged).values()
        assert row["error_code"] == code
    filmgate.json(*line, "--stage", "extraction", "--no-skip-existing")
    assert path.read_bytes() == whole
    [row] = rows(filmgate, filmgate.json(*line, "--stage", "manifest")).values()
    assert row["error"] is None


def flip_bit(data: bytes) -> bytes:
    """Flip one bit of a frame in the middle."""
    bad = bytearray(data)
    bad[len(bad) // 2] ^= 1
    return bytes(bad)


@pytest.mark.proof
def test_a_list_of_bad_archives_gives_error_rows_and_its_own_exit_code(
    filmgate: Filmgate, sessions: Path
) -> None:
    (filmgate.cwd / "bad.txt").write_text("empty.tar\n../x.tar\n")
    line = ("--task-list", filmgate.cwd / "bad.txt", "--source-bucket", sessions, "--no-ingest")
    manifest = filmgate.json(
        "run", "gameplay", *line, "--manifest-bucket", filmgate.cwd / "pt", code=4
    )
    codes = {key: row["error_code"] for key, row in rows(filmgate, manifest).items()}
    assert codes == {"../x.tar": "bad_key", "empty.tar": "tar_empty"}
    assert not list(filmgate.cwd.glob("*.pt"))
    strict = filmgate(
        "run", "gameplay", *line, "--manifest-bucket", filmgate.cwd / "pt", "--strict"
    )
    assert strict.returncode == 1


@pytest.mark.parametrize("given", [[], ["--task-list", "nothing.txt"]])
def test_a_missing_task_list_is_named_in_the_error(filmgate: Filmgate, given: list[str]) -> None:
    done = filmgate("run", "gameplay", *given)
    assert done.returncode == 5
    assert "--task-list" in done.stderr
    assert (given or ["", "task_list.txt"])[1] in done.stderr


def test_the_report_is_one_page_with_the_frames_of_flagged_sessions(
    extracted: tuple[Filmgate, Any],
) -> None:
    filmgate, _ = extracted
    table = filmgate.cwd / "out" / "quality.parquet"
    report = filmgate.json("gameplay", "report", table, "--manifest-bucket", filmgate.cwd / "pt")
    assert (report["sessions"], report["clean"], report["failed"]) == (3, 1, 3)
    page = Path(report["page"]).read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 2
    assert "src='http" not in page
    assert "<script" not in page
    alone = filmgate.json("gameplay", "report", table, "--output", filmgate.cwd / "alone.html")
    assert "No frames" in Path(alone["page"]).read_text(encoding="utf-8")
    refused = filmgate("gameplay", "report", __file__)
    assert refused.returncode == 4
    assert "Parquet" in refused.stderr


@pytest.fixture
def buckets(sessions: Path, s3_endpoint: str, filmgate: Filmgate) -> tuple[str, str]:
    """A bucket with the same archives, and an empty one for the `.pt` files."""
    source, target = new_bucket(s3_endpoint), new_bucket(s3_endpoint)
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    for path in sorted(sessions.rglob("*.tar")):
        client.upload_file(str(path), source, str(path.relative_to(sessions)))
    filmgate.env |= {
        "FILMGATE_S3_ENDPOINT": s3_endpoint,
        "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
        "AWS_REGION": "us-east-1",
    }
    return source, target


@pytest.mark.proof
def test_buckets_give_the_same_manifest_as_folders_except_times(
    extracted: tuple[Filmgate, Any],
    filmgate: Filmgate,
    sessions: Path,
    buckets: tuple[str, str],
) -> None:
    source, target = buckets
    places = ("--source-bucket", source, "--manifest-bucket", f"s3://{target}")
    line = ("run", "gameplay", "--no-ingest", "--task-list", sessions.parent / "list.txt")
    manifest = filmgate.json(
        *line, *places, *SMALL, "--workers", 2, "--output-path", f"s3://{target}/q/m.parquet"
    )
    folders, folders_manifest = extracted
    buckets_table, folders_table = table(filmgate, manifest), table(folders, folders_manifest)
    assert buckets_table.schema == folders_table.schema
    for name in buckets_table.schema.names:
        if name != "processed_time":
            assert without_store(buckets_table[name]) == without_store(folders_table[name]), name
    cache = filmgate.cwd / "cache"
    again = (*line, *places, "--stage", "manifest", "--cache-dir", cache, "--checks", "v1")
    found = [filmgate.json(*again)["stages"]["manifest"]["metrics"] for _ in range(2)]
    assert [metrics["copies_found"] for metrics in found] == [0, 3]
    for copy in cache.iterdir():
        copy.write_bytes(copy.read_bytes()[:-5000])
    mended = filmgate.json(*again)
    assert mended["stages"]["manifest"]["counts"]["with_error"] == 3


def without_store(column: pa.ChunkedArray) -> list[Any]:
    """Return the values without the address of the store in messages."""
    return [
        value.partition(" in s3:")[0].partition(" in file:")[0] if isinstance(value, str) else value
        for value in column.to_pylist()
    ]


@pytest.mark.proof
def test_extraction_resumes_after_it_was_killed(filmgate: Filmgate, sessions: Path) -> None:
    places = ("--source-bucket", sessions, "--manifest-bucket", filmgate.cwd / "pt")
    task_list = ("--task-list", sessions.parent / "list.txt")
    line = [*filmgate.command, "run", "gameplay", *task_list, *places, "--no-ingest", *SMALL]
    killed = subprocess.Popen(
        [str(argument) for argument in line],
        env=filmgate.env,
        cwd=filmgate.cwd,
        start_new_session=True,
    )
    first = filmgate.cwd / "pt" / "day 1" / "frozen.pt"
    while not first.exists():
        assert killed.poll() is None
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    stamp = first.stat().st_mtime_ns
    manifest = run(filmgate, sessions)
    assert manifest["stages"]["extraction"]["counts"]["reused"] >= 1
    assert manifest["stages"]["extraction"]["attempt"] == 2
    assert first.stat().st_mtime_ns == stamp
    assert flags(rows(filmgate, manifest)["day 1/frozen.tar"]) == {"is_frozen"}


def test_metrics_are_written_for_prometheus(filmgate: Filmgate, sessions: Path) -> None:
    (filmgate.cwd / "bad.txt").write_text("empty.tar\n")
    filmgate.env["FILMGATE_METRICS_FILE"] = str(filmgate.cwd / "metrics.prom")
    line = ("--task-list", filmgate.cwd / "bad.txt", "--source-bucket", sessions, "--no-ingest")
    filmgate.json("run", "gameplay", *line, "--manifest-bucket", filmgate.cwd / "pt", code=4)
    lines = (filmgate.cwd / "metrics.prom").read_text().splitlines()
    labels = 'pipeline="gameplay",asset_id="bad",stage="extraction"'
    assert f"filmgate_stage_items_done{{{labels}}} 1" in lines
    assert f'filmgate_stage_failures{{{labels},code="tar_empty"}} 1' in lines
    assert f"filmgate_stage_up{{{labels}}} 0" in lines
    named = {line.split("{")[0] for line in lines if not line.startswith("#")}
    rules = Path(__file__).parents[2] / "docs" / "how-to" / "game-session-alerts.yml"
    metrics = {word for word in rules.read_text().replace("(", " ").replace("{", " ").split()
             if word.startswith("filmgate_stage_")}  # fmt: skip
    assert metrics
    assert metrics <= named
