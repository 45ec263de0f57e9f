"""Six hundred manifests, three consumers, and a random hand on the plug."""

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
from filmgate.core.screentime import ScreenTime
from filmgate.db.embedded import EmbeddedPostgres
from support.command import Filmgate
from support.published import lay, manifest_for, run_files

GOOD, DUPLICATES, OF_EACH_FAULT = 480, 60, 10
FAULTS = (MISSING, "truncated", "digest_mismatch", "schema_invalid", "version", "conflict")
MANIFESTS = GOOD + DUPLICATES + OF_EACH_FAULT * len(FAULTS)
CONSUMERS = 3
KILLS = 9
"""A third of them of the database."""

PATIENCE_S = 120.0


def asset_of(number: int) -> str:
    return f"show-s{number // 100:02}e{number % 100:02}"


def files_of(number: int) -> dict[str, bytes]:
    files = run_files(people=number % 4, scenes=1)
    del files["notes.json"]
    return files


def lay_one(store: ObjectStore, what: tuple[str, int]) -> tuple[str, str]:
    """Put one manifest and what belongs to it into the store; its key, and what is due."""
    kind, number = what
    files, due = files_of(number), kind
    told: dict[str, Any] = {"asset": f"{kind}{number}"}
    screentime = files["screentime.json"]
    match kind:
        case "good":
            told, due = {"asset": asset_of(number)}, "taken"
        case "duplicate":
            told = {"asset": asset_of(number), "place": f"runs/{asset_of(number)}/r1"}
            due = "taken"
        case "conflict":
            place = f"runs/{asset_of(number)}/r1"
            told = {"asset": asset_of(number), "place": place, "revision": 9}
            due = "either"
        case "missing_artifact":
            told["leave_out"] = "screentime.json"
        case "truncated":
            told["instead"] = {"screentime.json": screentime[:-1]}
            due = "digest_mismatch"
        case "digest_mismatch":
            told["instead"] = {"screentime.json": screentime.replace(b"10000", b"10001")}
        case "schema_invalid":
            files["screentime.json"] = screentime.replace(b"duration_ms", b"length_ms")
        case "version":
            data = manifest_for(files, **told).to_bytes()
            told["manifest_bytes"] = data.replace(
                b'"schema_version":1,"source', b'"schema_version":2,"source'
            )
            due = "schema_version_unsupported"
    return lay(store, files, **told), due


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
        told = (home / "pg" / "cluster" / "data" / "postmaster.pid").read_text()
        os.kill(int(told.splitlines()[0]), signal.SIGKILL)


def counted(url: str) -> Counter[str]:
    """How many deliveries stand where; nothing while the database is away."""
    with suppress(psycopg.Error), psycopg.connect(url, connect_timeout=2) as connection:
        query = "select status, count(*) from pipeline.deliveries group by status"
        found: list[tuple[str, int]] = connection.execute(query).fetchall()
        return Counter(dict(found))
    return Counter()


def test_every_good_run_is_exact_none_is_there_twice_and_every_bad_one_is_explained(
    tmp_path: Path, bucket: ObjectStore, s3_endpoint: str
) -> None:
    filmgate = Filmgate(tmp_path / "home")
    filmgate.env |= {"FILMGATE_S3_ENDPOINT": s3_endpoint, "FILMGATE_SYNC_POLL_S": "0.3"}
    filmgate.env["FILMGATE_SYNC_LEASE_S"] = "3"
    dice = random.Random(600)
    work = [("good", n) for n in range(GOOD)] + [("duplicate", n) for n in range(DUPLICATES)]
    work += [(fault, 100 + n) for fault in FAULTS for n in range(OF_EACH_FAULT)]
    dice.shuffle(work)
    assert len(work) == MANIFESTS
    embedded = EmbeddedPostgres((tmp_path / "home" / "pg").absolute())
    with ExitStack() as stack:

        def start() -> subprocess.Popen[bytes]:
            return stack.enter_context(consumer(filmgate, bucket.url))

        consumers = [start() for _ in range(CONSUMERS)]
        pool = stack.enter_context(ThreadPoolExecutor(4))
        laid = pool.map(lambda what: lay_one(bucket, what), work)
        began = time.monotonic()
        for kill in range(KILLS):
            time.sleep(dice.uniform(0.8, 1.8))
            if kill % 3 == 2:
                kill_the_database(filmgate.home)
            else:
                place = dice.randrange(CONSUMERS)
                consumers[place].send_signal(signal.SIGKILL)
                consumers[place] = start()
        due = dict(laid)
        while True:
            found = counted(embedded.url)
            if found["SUCCESS"] + found["FAILED"] == MANIFESTS:
                break
            assert time.monotonic() - began < PATIENCE_S, f"only {found} were dealt with"
            time.sleep(0.3)
        with psycopg.connect(embedded.url) as connection:
            check(connection, due)


def check(connection: psycopg.Connection, due: dict[str, str]) -> None:
    told: dict[str, str] = dict(
        connection.execute(
            "select manifest_key, coalesce(error_details ->> 'code', 'taken')"
            " from pipeline.run_stages where stage = 'sync_screenalytics'"
        ).fetchall()
    )
    assert told.keys() == due.keys()
    pairs = [key for key, what in due.items() if what == "either"]
    rivals = [f"runs/show/s01/e{n:02}/r1/manifest.json" for n in range(OF_EACH_FAULT)]
    either = set(pairs + rivals)
    assert {k: v for k, v in told.items() if k not in either} == {
        k: v for k, v in due.items() if k not in either
    }
    assert Counter(told[key] for key in either) == {
        "taken": OF_EACH_FAULT,
        "manifest_conflict": OF_EACH_FAULT,
    }
    runs = connection.execute("select asset_id from screenalytics.runs").fetchall()
    assert sorted(asset for (asset,) in runs) == [asset_of(n) for n in range(GOOD)]
    inbox = connection.execute("select count(*) from pipeline.inbox").fetchone()
    assert inbox == (GOOD,), "a receipt for each, and no second one"
    found = connection.execute(
        "select asset_id, identity_id, onscreen_ms, face_visible_ms, speaking_ms"
        " from screenalytics.person_metrics order by asset_id, identity_id"
    ).fetchall()
    assert found == [
        (asset_of(n), person.identity_id, person.onscreen_ms, person.face_visible_ms, None)
        for n in range(GOOD)
        for person in ScreenTime.model_validate_json(files_of(n)["screentime.json"]).people
    ]
