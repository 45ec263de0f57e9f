"""Game sessions from archives to a quality manifest, as somebody types it."""

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

from filmgate.pipelines.gameplay.files import ORIGINAL
from filmgate.tools.demo_sessions import archive, draw, inputs_csv, session_tar
from support.command import Filmgate
from support.s3 import new_bucket

SIZE = (320, 180)
SMALL = ("--set", "extraction.shorter_side=180")


@pytest.fixture
def filmgate(tmp_path: Path) -> Filmgate:
    return Filmgate(tmp_path / "home")


def drawn(path: Path, kind: str) -> Path:
    """A recording of 20 s, of that kind."""
    for _ in draw(path, kind, SIZE):
        pass
    return path


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of archives, good and bad."""
    videos = tmp_path_factory.mktemp("videos")
    folder = tmp_path_factory.mktemp("sessions") / "tars"
    pressed = inputs_csv(
        [(k / 4, "KEYBOARD", f"[87,{str(k % 2 == 0).lower()}]") for k in range(80)]
    )
    quiet = inputs_csv([(5.9, "KEYBOARD", "[27,true]"), (14.1, "KEYBOARD", "[27,true]")])
    for kind, log in (("moving", pressed), ("frozen", pressed), ("menu", quiet)):
        session_tar(
            folder / "day 1" / f"{kind}.tar", drawn(videos / f"{kind}.mp4", kind), inputs=log
        )
    (folder / "empty.tar").touch()
    archive(folder / "bare.tar", {"recording.mp4": videos / "moving.mp4"})
    listed = ["# all", *sorted(str(p.relative_to(folder)) for p in folder.rglob("*.tar"))]
    (folder.parent / "list.txt").write_text("\n".join([*listed, "missing.tar"]))
    return folder


def run(filmgate: Filmgate, sessions: Path, *arguments: object, code: int = 0) -> dict[str, Any]:
    places = ("--source-bucket", sessions, "--manifest-bucket", filmgate.cwd / "pt")
    listed = ("--task-list", sessions.parent / "list.txt")
    line = ("run", "gameplay", *listed, *places, "--no-ingest", *SMALL, *arguments)
    return filmgate.json(*line, code=code)


def table(filmgate: Filmgate, manifest: dict[str, Any]) -> pa.Table:
    return pq.read_table(filmgate.folder(manifest) / "quality_manifest.parquet")


def rows(filmgate: Filmgate, manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["s3_key"]: row for row in table(filmgate, manifest).to_pylist()}


def flags(row: dict[str, Any]) -> set[str]:
    return {name for name, value in row.items() if value is True}


@pytest.fixture(scope="module")
def extracted(sessions: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Filmgate, Any]:
    """All of them extracted and judged, and how that was told."""
    filmgate = Filmgate(tmp_path_factory.mktemp("extracted") / "home")
    told = run(filmgate, sessions, "--output-path", filmgate.cwd / "out" / "quality.parquet")
    return filmgate, told


def test_sessions_are_judged_and_bad_ones_are_rows_with_their_error(
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
    assert {code: told["count"] for code, told in failures.items()} == {
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
    asked = f"""
        select video_id, is_frozen_evidence.events, json_extract(check_versions, '$.is_frozen')
        from '{filmgate.cwd}/out/quality.parquet' where is_frozen"""
    found = duckdb.connect().execute(asked).fetchall()
    assert found == [("frozen", 79, "1")]


def test_the_original_checks_make_exactly_the_original_columns(
    extracted: tuple[Filmgate, Any], sessions: Path
) -> None:
    filmgate, _ = extracted
    manifest = run(filmgate, sessions, "--stage", "manifest", "--checks", "v1")
    assert manifest["stages"]["extraction"]["status"] == "SKIPPED"
    assert table(filmgate, manifest).schema.names == list(ORIGINAL)
    assert flags(rows(filmgate, manifest)["day 1/frozen.tar"]) == set()


@pytest.mark.proof
def test_checks_are_chosen_by_name_and_only_what_they_need_is_read(
    extracted: tuple[Filmgate, Any], sessions: Path
) -> None:
    filmgate, _ = extracted
    few = run(filmgate, sessions, "--stage", "manifest", "--checks", "is_rate_low")
    all_of_them = run(filmgate, sessions, "--stage", "manifest")
    read = [m["stages"]["manifest"]["metrics"]["bytes_read"] for m in (few, all_of_them)]
    assert read[0] < read[1] / 10
    assert rows(filmgate, few)["day 1/moving.tar"]["is_rate_low"] is False
    assert rows(filmgate, few)["day 1/moving.tar"]["is_video_mostly_dark"] is None
    refused = filmgate("run", "gameplay", "--task-list", sessions.parent / "list.txt",
                       "--checks", "is_nothing", "--source-bucket", sessions,
                       "--manifest-bucket", filmgate.cwd / "pt", "--stage", "manifest")  # fmt: skip
    assert refused.returncode == 4
    assert "is_rate_low" in refused.stdout + refused.stderr


@pytest.mark.proof
def test_judging_without_a_list_judges_all_that_was_extracted_below_a_prefix(
    extracted: tuple[Filmgate, Any], sessions: Path
) -> None:
    filmgate, told = extracted
    places = ("--source-bucket", sessions, "--manifest-bucket", filmgate.cwd / "pt")
    line = ("run", "gameplay", "--stage", "manifest", *places, "--no-ingest")
    some = filmgate.json(*line, "--prefix", "day 1/m")
    assert list(rows(filmgate, some)) == ["day 1/menu.tar", "day 1/moving.tar"]
    whole = rows(filmgate, filmgate.json(*line))
    before = rows(filmgate, told)
    assert list(whole) == ["day 1/frozen.tar", "day 1/menu.tar", "day 1/moving.tar"]
    for key, row in whole.items():
        assert {**row, "processed_time": 0} == {**before[key], "processed_time": 0}


@pytest.mark.proof
def test_judging_again_says_why_an_archive_has_no_file(
    extracted: tuple[Filmgate, Any], sessions: Path
) -> None:
    filmgate, _ = extracted
    found = rows(filmgate, run(filmgate, sessions, "--stage", "manifest"))
    assert found["empty.tar"]["error_code"] == "tar_empty"


@pytest.mark.proof
def test_nothing_extracted_is_told_with_what_to_do(filmgate: Filmgate, sessions: Path) -> None:
    (filmgate.cwd / "pt").mkdir()
    places = ("--source-bucket", sessions, "--manifest-bucket", filmgate.cwd / "pt")
    for listed, code in ((("--task-list", sessions.parent / "list.txt"), 1), ((), 5)):
        done = filmgate("run", "gameplay", "--stage", "manifest", *listed, *places, "--no-ingest")
        assert done.returncode == code
        assert "--stage extraction" in done.stdout + done.stderr


@pytest.mark.proof
def test_an_altered_file_is_an_error_row_and_extracting_again_mends_it(
    filmgate: Filmgate, sessions: Path
) -> None:
    listed = filmgate.cwd / "one.txt"
    listed.write_text("day 1/moving.tar\n")
    places = ("--source-bucket", sessions, "--manifest-bucket", filmgate.cwd / "pt")
    line = ("run", "gameplay", "--task-list", listed, *places, "--no-ingest", *SMALL)
    first = filmgate.json(*line, "--stage", "extraction")
    assert first["stages"]["manifest"]["status"] == "SKIPPED"
    path = filmgate.cwd / "pt" / "day 1" / "moving.pt"
    whole = path.read_bytes()
    for bad, code in ((flipped(whole), "pt_altered"), (whole[:5000], "pt_unreadable")):
        path.write_bytes(bad)
        judged = filmgate.json(*line, "--stage", "manifest", code=4)
        [row] = rows(filmgate, judged).values()
        assert row["error_code"] == code
    filmgate.json(*line, "--stage", "extraction", "--no-skip-existing")
    assert path.read_bytes() == whole
    [row] = rows(filmgate, filmgate.json(*line, "--stage", "manifest")).values()
    assert row["error"] is None


def flipped(data: bytes) -> bytes:
    """The same with a bit of a frame in the middle turned."""
    bad = bytearray(data)
    bad[len(bad) // 2] ^= 1
    return bytes(bad)


@pytest.mark.proof
def test_a_list_of_bad_archives_only_ends_with_its_rows_and_says_so(
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
def test_a_task_list_that_is_not_there_is_told_by_name(
    filmgate: Filmgate, given: list[str]
) -> None:
    done = filmgate("run", "gameplay", *given)
    assert done.returncode == 5
    assert "--task-list" in done.stderr
    assert (given or ["", "task_list.txt"])[1] in done.stderr


def test_the_report_is_one_page_with_the_frames_of_what_was_flagged(
    extracted: tuple[Filmgate, Any],
) -> None:
    filmgate, _ = extracted
    table = filmgate.cwd / "out" / "quality.parquet"
    told = filmgate.json("gameplay", "report", table, "--manifest-bucket", filmgate.cwd / "pt")
    assert (told["sessions"], told["clean"], told["failed"]) == (3, 1, 3)
    page = Path(told["page"]).read_text(encoding="utf-8")
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
    """The same archives in a bucket, and one for what is extracted."""
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
def test_buckets_give_the_same_manifest_as_folders_but_for_times(
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
    folders, told = extracted
    mine, theirs = table(filmgate, manifest), table(folders, told)
    assert mine.schema == theirs.schema
    for name in mine.schema.names:
        if name != "processed_time":
            assert with_store(mine[name]) == with_store(theirs[name]), name
    cache = filmgate.cwd / "cache"
    again = (*line, *places, "--stage", "manifest", "--cache-dir", cache, "--checks", "v1")
    found = [filmgate.json(*again)["stages"]["manifest"]["metrics"] for _ in range(2)]
    assert [each["copies_found"] for each in found] == [0, 3]
    for copy in cache.iterdir():
        copy.write_bytes(copy.read_bytes()[:-5000])
    mended = filmgate.json(*again)
    assert mended["stages"]["manifest"]["counts"]["with_error"] == 3


def with_store(column: pa.ChunkedArray) -> list[Any]:
    """The values, without the address of the store in messages."""
    return [
        each.partition(" in s3:")[0].partition(" in file:")[0] if isinstance(each, str) else each
        for each in column.to_pylist()
    ]


@pytest.mark.proof
def test_extraction_goes_on_where_it_was_killed(filmgate: Filmgate, sessions: Path) -> None:
    places = ("--source-bucket", sessions, "--manifest-bucket", filmgate.cwd / "pt")
    listed = ("--task-list", sessions.parent / "list.txt")
    line = [*filmgate.command, "run", "gameplay", *listed, *places, "--no-ingest", *SMALL]
    killed = subprocess.Popen(
        [str(each) for each in line], env=filmgate.env, cwd=filmgate.cwd, start_new_session=True
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


def test_what_is_measured_is_kept_for_prometheus(filmgate: Filmgate, sessions: Path) -> None:
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
    asked = {word for word in rules.read_text().replace("(", " ").replace("{", " ").split()
             if word.startswith("filmgate_stage_")}  # fmt: skip
    assert asked
    assert asked <= named
