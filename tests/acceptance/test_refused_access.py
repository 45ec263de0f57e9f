"""Refused access is one error with exit code 8, whichever file or folder refuses it."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from filmgate.tools.sample_sessions import draw_world, inputs_csv, open_recording, session_tar
from support import books
from support.command import Filmgate

SIZE = (96, 54)
NAMES = ("a", "b", "c")


@pytest.fixture
def filmgate(tmp_path: Path) -> Filmgate:
    return Filmgate(tmp_path / "home").without_privileges()


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "rules.md").write_text(books.RULES)
    return folder


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    with open_recording(path, SIZE) as write:
        for number in range(90):
            write(draw_world(number, SIZE))
    return path


@pytest.fixture
def archives(tmp_path: Path, video: Path) -> Path:
    """A folder of three archives; the task list beside it names them."""
    folder = tmp_path / "archives"
    for name in NAMES:
        session_tar(folder / f"{name}.tar", video, inputs=inputs_csv([]))
    (tmp_path / "tasks.txt").write_text("\n".join(f"{name}.tar" for name in NAMES))
    return folder


def run_gameplay(filmgate: Filmgate, *arguments: object, code: int) -> dict[str, Any]:
    places = ("--source-bucket", "archives", "--task-list", "tasks.txt")
    small = ("--set", "extraction.shorter_side=32")
    line = ("run", "gameplay", "--no-ingest", *places, *small, *arguments)
    return filmgate.json(*line, code=code)


def check_refused(error: dict[str, Any], path: Path) -> None:
    assert error["error"] == "not_permitted"
    assert error["message"].startswith(f"permission denied: {path}: got Permission denied")
    assert error["details"]["hint"]


@pytest.mark.parametrize(
    ("closed", "arguments"),
    [
        ("uploads", ("run", "rulebook", "--uploads", "{}")),
        ("uploads/rules.md", ("run", "rulebook", "--uploads", "{}")),
        ("uploads/rules.md", ("run", "rulebook", "--uploads", "{parent}")),
        ("film.mkv", ("run", "episode", "{}")),
        ("tasks.txt", ("run", "gameplay", "--task-list", "{}")),
        ("weights.onnx", ("models", "add", "yunet", "{}")),
        ("runs.json", ("select", "film", "--runs", "{}")),
        ("run.log", ("run", "rulebook", "--uploads", "{parent}/uploads", "--log-file", "{}")),
    ],
)
def test_a_file_or_folder_that_cannot_be_read_is_reported_with_exit_8(
    filmgate: Filmgate, uploads: Path, closed: str, arguments: tuple[str, ...]
) -> None:
    path = filmgate.cwd / closed
    if not path.exists():
        path.write_text("closed")
    path.chmod(0)
    line = [each.format(path, parent=path.parent) for each in arguments]
    check_refused(filmgate.json(*line, code=8), path)
    assert not (filmgate.home / "artifacts").exists()
    assert not (filmgate.home / "manifests").exists()


@pytest.mark.parametrize("mode", [0o500, 0])
def test_a_home_that_cannot_be_written_is_reported_with_exit_8(
    filmgate: Filmgate, uploads: Path, mode: int
) -> None:
    filmgate.home.mkdir()
    filmgate.home.chmod(mode)
    error = filmgate.json("run", "rulebook", "--uploads", uploads, "--no-ingest", code=8)
    assert error["error"] == "not_permitted"
    assert error["message"].startswith(f"permission denied: {filmgate.home}/")


def test_a_refused_database_folder_leaves_a_finished_run_with_exit_8(
    filmgate: Filmgate, uploads: Path
) -> None:
    database = filmgate.home / "pg"
    database.mkdir(parents=True)
    database.chmod(0)
    done = filmgate("run", "rulebook", "--uploads", uploads, "--run-id", "one")
    assert done.returncode == 8, done.stderr
    assert f"the run was not ingested: permission denied: {database}" in done.stderr
    assert filmgate.json("status", "one")["status"] == "SUCCESS"
    error = filmgate.json("videos", code=8)
    assert error["message"].startswith(f"permission denied: {database}/")


@pytest.mark.parametrize(
    ("bucket", "closed", "mode"), [("pt", "pt", 0o500), ("closed/pt", "closed", 0o500)]
)
def test_a_bucket_that_cannot_be_written_fails_the_stage_before_any_archive(
    filmgate: Filmgate, archives: Path, bucket: str, closed: str, mode: int
) -> None:
    (filmgate.cwd / closed).mkdir()
    (filmgate.cwd / closed).chmod(mode)
    manifest = run_gameplay(filmgate, "--manifest-bucket", filmgate.cwd / bucket, code=8)
    extraction = manifest["stages"]["extraction"]
    assert extraction["error"]["code"] == "not_permitted"
    refused = f"permission denied: {filmgate.cwd / bucket}: got Permission denied"
    assert extraction["error"]["message"].startswith(refused)
    assert "failed" not in extraction["counts"]


@contextmanager
def bucket_that_refuses() -> Iterator[str]:
    """An S3 server that answers every request with 403; yields its address."""

    class Refusal(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(403)
            self.send_header("content-length", "0")
            self.end_headers()

        do_HEAD = do_PUT = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_bucket_that_refuses_three_archives_fails_the_stage_with_exit_8(
    filmgate: Filmgate, archives: Path
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "key"}
    with bucket_that_refuses() as endpoint:
        filmgate.env |= {**keys, "FILMGATE_S3_ENDPOINT": endpoint}
        manifest = run_gameplay(filmgate, "--manifest-bucket", "s3://bucket", code=8)
    error = manifest["stages"]["extraction"]["error"]
    assert error["code"] == "not_permitted"
    assert "permission denied: s3://bucket" in error["message"]


def test_pt_files_that_cannot_be_listed_are_reported_with_exit_8(
    filmgate: Filmgate, archives: Path
) -> None:
    bucket = filmgate.cwd / "pt"
    bucket.mkdir(mode=0)
    only = ("--stage", "manifest", "--manifest-bucket", bucket)
    failed = run_gameplay(filmgate, *only, code=8)["stages"]["manifest"]["error"]
    assert failed["code"] == "not_permitted"
    check_refused(filmgate.json("run", "gameplay", *only, "--no-ingest", code=8), bucket)


def test_archives_that_cannot_be_read_are_item_errors_and_the_others_are_processed(
    filmgate: Filmgate, archives: Path
) -> None:
    bucket = filmgate.cwd / "pt"
    for name in ("a", "b"):
        (archives / f"{name}.tar").chmod(0)
    manifest = run_gameplay(filmgate, "--manifest-bucket", bucket, code=0)
    extraction = manifest["stages"]["extraction"]
    assert extraction["counts"]["extracted"] == 1
    assert {item["item"]: item["code"] for item in extraction["item_errors"]} == {
        "a.tar": "not_permitted",
        "b.tar": "not_permitted",
    }
    assert f"permission denied: {archives}/a.tar" in extraction["item_errors"][0]["message"]
    assert sorted(path.name for path in bucket.iterdir()) == ["c.pt"]


def test_if_no_archive_can_be_read_every_item_failed_with_exit_4(
    filmgate: Filmgate, archives: Path
) -> None:
    for archive in archives.iterdir():
        archive.chmod(0)
    manifest = run_gameplay(filmgate, "--manifest-bucket", filmgate.cwd / "pt", code=4)
    extraction = manifest["stages"]["extraction"]
    assert extraction["metrics"]["failures"]["not_permitted"]["count"] == len(NAMES)


def test_a_file_of_a_pass_that_cannot_be_read_is_one_error_for_the_command_and_for_programs(
    filmgate: Filmgate, uploads: Path
) -> None:
    run = ("run", "rulebook", "--job-dir", "job", "--no-ingest")
    filmgate.json(*run, "--uploads", uploads, "--passes", "A")
    toc = filmgate.cwd / "job" / "passA_toc.json"
    toc.chmod(0)
    check_refused(filmgate.json(*run, "--passes", "C", code=8), toc)
    script = """
import json
from pathlib import Path
from filmgate.core.errors import FilmgateError
from filmgate.ingest import pass_c
try:
    pass_c.run("job", "dev", json.loads(Path("job/manifest.json").read_bytes()))
except FilmgateError as error:
    print(error.code, error.message)
"""
    interpreter = filmgate.command[: filmgate.command.index("-m")]
    done = subprocess.run(
        [*interpreter, "-c", script],
        env=filmgate.env,
        cwd=filmgate.cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == [f"not_permitted permission denied: {toc}"], done.stderr
