"""Publish in one shell, follow in another: the commands `publish`, `sync` and `receipts`."""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from filmgate.core.objects import ObjectStore
from support.command import Filmgate
from support.films import film_of_shots
from support.published import put_run

ASSET = "gatecheck-s01e01"


@pytest.fixture(scope="module")
def finished_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a completed run that is not ingested."""
    home = tmp_path_factory.mktemp("made") / "home"
    film = film_of_shots(home.parent / f"{ASSET}.mkv", [25, 25])
    command = Filmgate(home)
    command.env["FILMGATE_PRODUCER"] = "studio"
    command.json("run", "episode", film, "--run-id", "r1", "--no-ingest")
    return home


@pytest.fixture
def studio(tmp_path: Path, database_url: str, s3_endpoint: str, finished_home: Path) -> Filmgate:
    """An installation with a completed run."""
    command = Filmgate(tmp_path / "studio" / "home", database_url)
    shutil.copytree(finished_home, command.home)
    command.env |= {"FILMGATE_S3_ENDPOINT": s3_endpoint, "FILMGATE_PRODUCER": "studio"}
    command.env["FILMGATE_SYNC_POLL_S"] = "0.3"
    return command


@contextmanager
def follow(command: Filmgate, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run `filmgate sync --follow`, and kill it at the end of the block."""
    with subprocess.Popen(
        [*command.command, "sync", "--follow", *arguments],
        env=command.env,
        cwd=command.cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_followed_outbox_ingests_a_published_run_and_shows_its_receipt(
    studio: Filmgate, bucket: ObjectStore
) -> None:
    studio.json("ingest", ASSET)
    with follow(studio, "--source", "outbox", "--json") as following:
        assert following.stderr is not None
        assert following.stdout is not None
        assert "Waiting for runs" in following.stderr.readline()
        published = studio.json("publish", ASSET, "--to", bucket.url)
        outcome = json.loads(following.stdout.readline())
        following.send_signal(signal.SIGTERM)
        assert following.wait(timeout=20) == 0
    assert published["manifest_key"] == "runs/gatecheck/s01/e01/r1/manifest.json"
    assert (outcome["refusal"], outcome["receipt"]["run_id"]) == (None, "r1")
    receipts = studio.json("receipts", f"{ASSET}/r1")["receipts"]
    assert {each["stage"] for each in receipts} == {"ingest", "sync_screenalytics"}
    assert {each["manifest_sha256"] for each in receipts} == {published["manifest_sha256"]}
    shown = studio("receipts", f"{ASSET}/r1").stdout
    assert f"{published['source']}/{published['manifest_key']}" in shown
    assert "1 rows in screenalytics.runs" in shown
    again = studio.json("sync", "--source", bucket.url)
    assert again["outcomes"] == []


@pytest.mark.proof
def test_a_followed_store_fills_an_archive_that_answers_like_the_studio(
    studio: Filmgate, bucket: ObjectStore, tmp_path: Path
) -> None:
    other = Filmgate(tmp_path / "other" / "home")
    other.home.mkdir(parents=True)
    other.env |= {name: studio.env[name] for name in studio.env if name.startswith("FILMGATE_S")}
    with follow(other, "--source", bucket.url, "--as", "archive", "--json") as following:
        assert following.stdout is not None
        studio.json("publish", ASSET, "--to", bucket.url, "--no-announce")
        outcome = json.loads(following.stdout.readline())
        following.send_signal(signal.SIGINT)
        assert following.wait(timeout=20) == 0
    assert outcome["receipt"]["artifacts"]["scene"] == 2
    studio.json("ingest", ASSET)
    question = ("jump", ASSET, "--kind", "scene", "--from-ms", "500")
    assert other.json(*question)["artifact"] == studio.json(*question)["artifact"]
    assert studio.json("sync", "--source", "outbox")["noticed"] == 0, "the run was not announced"


def test_refused_runs_are_reported_with_their_reason_and_an_exit_code(
    studio: Filmgate, bucket: ObjectStore
) -> None:
    put_run(bucket, asset="good")
    put_run(bucket, asset="broken", manifest_bytes=b"{}")
    dry = studio.json("sync", "--source", bucket.url, "--dry-run", code=4)
    assert len(dry["outcomes"]) == 2
    assert studio.json("sync", "status")["sources"] == [], "a dry run writes nothing"
    done = studio("sync", "--source", bucket.url)
    assert done.returncode == 4
    assert "schema_version_unsupported" in done.stdout
    assert "ingested   good / r1  from studio" in done.stdout
    assert studio("sync", "--source", bucket.url).returncode == 0, "it was refused before"
    (refused,) = studio.json("sync", "status")["refusals"]
    assert refused["error_details"]["supported"] == [1]
    assert studio("sync", "--source", bucket.url, "--retry").returncode == 4


def test_missing_files_that_may_still_arrive_have_their_own_exit_code(
    studio: Filmgate, bucket: ObjectStore
) -> None:
    put_run(bucket, leave_out="screentime.json")
    done = studio("sync", "--source", bucket.url)
    assert (done.returncode, "retry at" in done.stdout) == (7, True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("publish", ASSET), 2, "target of the publication is missing"),
        (("publish", ASSET, "--to", "gs://bucket"), 4, "address of the store is invalid"),
        (
            ("publish", ASSET, "--to", "s3://there-is-no-such-bucket"),
            5,
            "bucket of s3://there-is-no-such-bucket does not exist",
        ),
        (("publish", "nothing", "--to", "x"), 5, "run 'nothing' does not exist"),
        (
            ("sync", "--source", "s3://there-is-no-such-bucket"),
            5,
            "bucket of s3://there-is-no-such-bucket does not exist",
        ),
        (("sync", "--source", "not/there"), 5, "does not exist"),
        (("sync", "--as", "toaster"), 2, "consumer 'toaster' is unknown"),
        (("sync", "--follow", "--once"), 2, "--follow cannot be combined"),
        (("receipts", "nothing"), 5, "no receipt of 'nothing'"),
    ],
)
def test_errors_of_publish_and_sync_are_explained(
    studio: Filmgate, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = studio(*arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr


@pytest.mark.proof
def test_without_a_database_a_run_is_published_completely_and_announced_later(
    studio: Filmgate, tmp_path: Path
) -> None:
    url = studio.env["FILMGATE_DATABASE_URL"]
    studio.env["FILMGATE_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:9/nothing"
    to = str(tmp_path / "runs")
    unannounced = studio("publish", ASSET, "--to", to)
    assert unannounced.returncode == 7
    assert "was published to" in unannounced.stderr
    studio.env["FILMGATE_DATABASE_URL"] = url
    again = studio.json("publish", ASSET, "--to", to)
    assert (again["uploaded"], again["is_announced"]) == (0, True)
    assert len(studio.json("sync")["outcomes"]) == 1
