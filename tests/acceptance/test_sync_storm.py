"""Fault injection: 600 manifests, three consumers, and random kills of consumers and database."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from filmgate.core.intake import MISSING
from filmgate.core.objects import ObjectStore
from filmgate.db.embedded import EmbeddedPostgres
from filmgate.pipelines.episode.screen_times import ScreenTime
from support.command import Filmgate
from support.published import manifest_for, put_run, run_files

GOOD, DUPLICATES, PER_FAULT = 480, 60, 10
FAULTS = (MISSING, "truncated", "digest_mismatch", "schema_invalid", "version", "conflict")
MANIFESTS = GOOD + DUPLICATES + PER_FAULT * len(FAULTS)
CONSUMERS = 3
KILLS = 9
"""Number of killed processes; every third is the database."""

TIMEOUT_S = 120.0


def asset_of(number: int) -> str:
    return f"show-s{number // 100:02}e{number % 100:02}"


def files_of(number: int) -> dict[str, bytes]:
    files = run_files(people=number % 4, scenes=1)
    del files["notes.json"]
    return files


def put_manifest(store: ObjectStore, task: tuple[str, int]) -> tuple[str, str]:
    """Put a manifest and its files into the store; return its key and the expected outcome."""
    kind, number = task
    files, expected = files_of(number), kind
    options: dict[str, Any] = {"asset": f"{kind}{number}"}
    screentime = files["screentime.json"]
    match kind:
        case "good":
            options, expected = {"asset": asset_of(number)}, "ingested"
        case "duplicate":
            options = {"asset": asset_of(number), "prefix": f"runs/{asset_of(number)}/r1"}
            expected = "ingested"
        case "conflict":
            prefix = f"runs/{asset_of(number)}/r1"
            options = {"asset": asset_of(number), "prefix": prefix, "revision": 9}
            expected = "either"
        case "missing_artifact":
            options["leave_out"] = "screentime.json"
        case "truncated":
            options["replaced"] = {"screentime.json": screentime[:-1]}
            expected = "digest_mismatch"
        case "digest_mismatch":
            options["replaced"] = {"screentime.json": screentime.replace(b"10000", b"10001")}
        case "schema_invalid":
            files["screentime.json"] = screentime.replace(b"duration_ms", b"length_ms")
        case "version":
            data = manifest_for(files, **options).to_bytes()
            options["manifest_bytes"] = data.replace(
                b'"schema_version":1,"source', b'"schema_version":2,"source'
            )
            expected = "schema_version_unsupported"
    return put_run(store, files, **options), expected


@contextmanager
def consumer(filmgate: Filmgate, source: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [*filmgate.command, "sync", "--source", source, "--follow"]
    with subprocess.Popen(
        command, env=filmgate.env, cwd=filmgate.cwd, stdout=subprocess.DEVNULL, stderr=-3
    ) as process:
        yield process
        process.kill()


def kill_the_database(home: Path) -> None:
    with suppress(OSError, ValueError, IndexError):
        pid_file = (home / "pg" / "cluster" / "data" / "postmaster.pid").read_text()
        os.kill(int(pid_file.splitlines()[0]), signal.SIGKILL)


def count_deliveries(url: str) -> Counter[str]:
    """Count deliveries by status; return an empty counter while the database is down."""
    with suppress(psycopg.Error), psycopg.connect(url, connect_timeout=2) as connection:
        query = "select status, count(*) from pipeline.deliveries group by status"
        found: list[tuple[str, int]] = connection.execute(query).fetchall()
        return Counter(dict(found))
    return Counter()


def test_every_good_run_is_ingested_exactly_once_and_every_bad_one_has_a_reason(
    tmp_path: Path, bucket: ObjectStore, s3_endpoint: str
) -> None:
    filmgate = Filmgate(tmp_path / "home")
    filmgate.env |= {"FILMGATE_S3_ENDPOINT": s3_endpoint, "FILMGATE_SYNC_POLL_S": "0.3"}
    filmgate.env["FILMGATE_SYNC_LEASE_S"] = "3"
    dice = random.Random(600)
    work = [("good", n) for n in range(GOOD)] + [("duplicate", n) for n in range(DUPLICATES)]
    work += [(fault, 100 + n) for fault in FAULTS for n in range(PER_FAULT)]
    dice.shuffle(work)
    assert len(work) == MANIFESTS
    embedded = EmbeddedPostgres((tmp_path / "home" / "pg").absolute())
    with ExitStack() as stack:

        def start() -> subprocess.Popen[bytes]:
            return stack.enter_context(consumer(filmgate, bucket.url))

        consumers = [start() for _ in range(CONSUMERS)]
        pool = stack.enter_context(ThreadPoolExecutor(4))
        uploads = pool.map(lambda task: put_manifest(bucket, task), work)
        began = time.monotonic()
        for kill in range(KILLS):
            time.sleep(dice.uniform(0.8, 1.8))
            if kill % 3 == 2:
                kill_the_database(filmgate.home)
            else:
                index = dice.randrange(CONSUMERS)
                consumers[index].send_signal(signal.SIGKILL)
                consumers[index] = start()
        expected = dict(uploads)
        while True:
            found = count_deliveries(embedded.url)
            if found["SUCCESS"] + found["FAILED"] == MANIFESTS:
                break
            assert time.monotonic() - began < TIMEOUT_S, f"only {found} have ended"
            time.sleep(0.3)
        with psycopg.connect(embedded.url) as connection:
            check_database(connection, expected)


def check_database(connection: psycopg.Connection, expected: dict[str, str]) -> None:
    outcomes: dict[str, str] = dict(
        connection.execute(
            "select manifest_key, coalesce(error_details ->> 'code', 'ingested')"
            " from pipeline.run_stages where stage = 'sync_screenalytics'"
        ).fetchall()
    )
    assert outcomes.keys() == expected.keys()
    pairs = [key for key, outcome in expected.items() if outcome == "either"]
    rivals = [f"runs/show/s01/e{n:02}/r1/manifest.json" for n in range(PER_FAULT)]
    either = set(pairs + rivals)
    assert {k: v for k, v in outcomes.items() if k not in either} == {
        k: v for k, v in expected.items() if k not in either
    }
    assert Counter(outcomes[key] for key in either) == {
        "ingested": PER_FAULT,
        "manifest_conflict": PER_FAULT,
    }
    runs = connection.execute("select asset_id from screenalytics.runs").fetchall()
    assert sorted(asset for (asset,) in runs) == [asset_of(n) for n in range(GOOD)]
    inbox = connection.execute("select count(*) from pipeline.inbox").fetchone()
    assert inbox == (GOOD,), "exactly one receipt per run"
    found = connection.execute(
        "select asset_id, identity_id, onscreen_ms, face_visible_ms, speaking_ms"
        " from screenalytics.person_metrics order by asset_id, identity_id"
    ).fetchall()
    assert found == [
        (asset_of(n), person.identity_id, person.onscreen_ms, person.face_visible_ms, None)
        for n in range(GOOD)
        for person in ScreenTime.model_validate_json(files_of(n)["screentime.json"]).people
    ]
