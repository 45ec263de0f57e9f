"""From two shells: one runs and publishes, the other follows and shows the receipt."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from filmgate.core.objects import ObjectStore
from support.command import Filmgate
from support.films import film_of_shots
from support.published import lay

ASSET = "gatecheck-s01e01"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a completed run that was not taken in."""
    home = tmp_path_factory.mktemp("made") / "home"
    film = film_of_shots(home.parent / f"{ASSET}.mkv", [25, 25])
    command = Filmgate(home)
    command.env["FILMGATE_PRODUCER"] = "studio"
    command.json("run", "episode", film, "--run-id", "r1", "--no-ingest")
    return home


@pytest.fixture
def studio(tmp_path: Path, database_url: str, s3_endpoint: str, made: Path) -> Filmgate:
    """An installation with a completed run."""
    command = Filmgate(tmp_path / "studio" / "home", database_url)
    shutil.copytree(made, command.home)
    command.env |= {"FILMGATE_S3_ENDPOINT": s3_endpoint, "FILMGATE_PRODUCER": "studio"}
    command.env["FILMGATE_SYNC_POLL_S"] = "0.3"
    return command


def followed(command: Filmgate, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command.command, "sync", "--follow", *arguments],
        env=command.env,
        cwd=command.cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_one_shell_publishes_and_the_other_follows_and_shows_the_receipt(
    studio: Filmgate, bucket: ObjectStore
) -> None:
    studio.json("ingest", ASSET)
    with followed(studio, "--source", "outbox", "--json") as following:
        assert following.stderr is not None
        assert following.stdout is not None
        assert "following" in following.stderr.readline()
        published = studio.json("publish", ASSET, "--to", bucket.url)
        outcome = json.loads(following.stdout.readline())
        following.send_signal(signal.SIGTERM)
        assert following.wait(timeout=20) == 0
    assert published["manifest_key"] == "runs/gatecheck/s01/e01/r1/manifest.json"
    assert (outcome["refusal"], outcome["receipt"]["run_id"]) == (None, "r1")
    receipts = studio.json("receipts", f"{ASSET}/r1")["receipts"]
    assert {each["stage"] for each in receipts} == {"ingest", "sync_screenalytics"}
    assert {each["manifest_sha256"] for each in receipts} == {published["manifest_sha256"]}
    told = studio("receipts", f"{ASSET}/r1").stdout
    assert f"{published['source']}/{published['manifest_key']}" in told
    assert "1 rows in screenalytics.runs" in told
    again = studio.json("sync", "--source", bucket.url)
    assert again["outcomes"] == []


@pytest.mark.proof
def test_a_store_is_followed_too_and_an_archive_answers_as_the_studio_does(
    studio: Filmgate, bucket: ObjectStore, tmp_path: Path
) -> None:
    other = Filmgate(tmp_path / "other" / "home")
    other.home.mkdir(parents=True)
    other.env |= {name: studio.env[name] for name in studio.env if name.startswith("FILMGATE_S")}
    with followed(other, "--source", bucket.url, "--as", "archive", "--json") as following:
        assert following.stdout is not None
        studio.json("publish", ASSET, "--to", bucket.url, "--no-announce")
        outcome = json.loads(following.stdout.readline())
        following.send_signal(signal.SIGINT)
        assert following.wait(timeout=20) == 0
    assert outcome["receipt"]["artifacts"]["scene"] == 2
    studio.json("ingest", ASSET)
    question = ("jump", ASSET, "--kind", "scene", "--from-ms", "500")
    assert other.json(*question)["artifact"] == studio.json(*question)["artifact"]
    assert studio.json("sync", "--source", "outbox")["noticed"] == 0, "it was not announced"


def test_what_is_refused_is_told_with_its_reason_and_an_exit_code(
    studio: Filmgate, bucket: ObjectStore
) -> None:
    lay(bucket, asset="good")
    lay(bucket, asset="broken", manifest_bytes=b"{}")
    dry = studio.json("sync", "--source", bucket.url, "--dry-run", code=4)
    assert len(dry["outcomes"]) == 2
    assert studio.json("sync", "status")["sources"] == [], "a dry run writes nothing"
    done = studio("sync", "--source", bucket.url)
    assert done.returncode == 4
    assert "schema_version_unsupported" in done.stdout
    assert "taken in   good / r1  from studio" in done.stdout
    assert studio("sync", "--source", bucket.url).returncode == 0, "it is refused once"
    (refused,) = studio.json("sync", "status")["refusals"]
    assert refused["error_details"]["supported"] == [1]
    assert studio("sync", "--source", bucket.url, "--retry").returncode == 4


def test_what_may_come_yet_is_an_exit_code_of_its_own(
    studio: Filmgate, bucket: ObjectStore
) -> None:
    lay(bucket, leave_out="screentime.json")
    done = studio("sync", "--source", bucket.url)
    assert (done.returncode, "again at" in done.stdout) == (7, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("publish", ASSET), 2, "it is not said where to publish"),
        (("publish", ASSET, "--to", "gs://bucket"), 4, "no place for runs"),
        (("publish", ASSET, "--to", "s3://there-is-no-such-bucket"), 5, "no bucket"),
        (("publish", "nothing", "--to", "x"), 5, "no run"),
        (("sync", "--source", "s3://there-is-no-such-bucket"), 5, "no bucket"),
        (("sync", "--source", "not/there"), 5, "no folder"),
        (("sync", "--as", "toaster"), 2, "no consumer 'toaster'"),
        (("sync", "--follow", "--once"), 2, "--follow has no end"),
        (("receipts", "nothing"), 5, "no receipt of 'nothing'"),
    ],
)
def test_errors_of_publish_and_sync_teach(
    studio: Filmgate, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = studio(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr


@pytest.mark.proof
def test_a_database_that_is_away_leaves_a_whole_run_to_be_announced_later(
    studio: Filmgate, tmp_path: Path
) -> None:
    url = studio.env["FILMGATE_DATABASE_URL"]
    studio.env["FILMGATE_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:9/nothing"
    to = str(tmp_path / "runs")
    away = studio("publish", ASSET, "--to", to)
    assert away.returncode == 7
    assert "lies whole in" in away.stderr
    studio.env["FILMGATE_DATABASE_URL"] = url
    again = studio.json("publish", ASSET, "--to", to)
    assert (again["uploaded"], again["is_announced"]) == (0, True)
    assert len(studio.json("sync")["outcomes"]) == 1
