"""Publishing and syncing, each beside the limit of what it does.

    python benchmarks/sync.py [--runs 600] [--write]

Taking in: consumers take runs that lie in a folder; beside it, connections that insert the same
rows in bare transactions, one a run, from values made beforehand. One at a time, then three.
Publishing: a run's files to a folder and to an S3 server; beside it, `obstore.put` of the same
files, one after the other, and as many at once as publishing does.
"""

import argparse
import multiprocessing
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, LiteralString

import obstore
import psycopg
from obstore.store import LocalStore, S3Store
from obstore.store import ObjectStore as BareStore
from psycopg.types.json import Jsonb

from filmgate.core.digest import canonical_json, digest, digest_of, sha256_hex
from filmgate.core.files import binary
from filmgate.core.ids import RunId
from filmgate.core.manifest import Manifest, StageEntry
from filmgate.core.objects import ObjectStore
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.plan import Done, Outcome, Plan, Producer, Settings, stage
from filmgate.core.ports import Bench
from filmgate.core.publishing import MANIFEST, Origin, run_place
from filmgate.core.records import ArtifactRef, Asset, RunHead
from filmgate.core.screentime import SCREENTIME, PersonTime, ScreenTime
from filmgate.core.states import RunState, StageState
from filmgate.db import product
from filmgate.db.connection import connected
from filmgate.db.deliveries import Deliveries
from filmgate.db.embedded import EmbeddedPostgres
from filmgate.db.queries import queries
from filmgate.db.rows import identity_of
from filmgate.engine.inputs import read_inputs
from filmgate.engine.invocation import Invocation, Request, in_process
from filmgate.engine.runner import execute
from filmgate.store.addresses import S3Options, open_store
from filmgate.store.home import Home
from filmgate.store.run_directory import FolderRun
from filmgate.sync.consumer import Consumer
from filmgate.sync.line import Line
from filmgate.sync.publish import publish_run
from filmgate.sync.screenalytics import SyncScreenalytics
from written import write_section

FILES = 24
"""Of an episode's run."""
PEOPLE = 8
ROUNDS = 3
AT_ONCE = 8
ME = Producer(name="bench", version="1")
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SIZES = [200, 2_000, 20_000, 200_000, 2_000_000, 8_000_000] * 4
"""Bytes of the files of a run that is published, as an episode has them."""
PORT = 6173
SAID: list[str] = []


def say(line: str) -> None:
    """Print a line, and keep it for the page."""
    print(line, flush=True)
    SAID.append(line)


def person(number: int) -> PersonTime:
    """Somebody's time on screen."""
    return PersonTime(
        identity_id=f"c{number}",
        vector_sha256="a" * 64,
        person_id=None,
        name=None,
        unsure=(),
        onscreen_ms=1000 + number,
        face_visible_ms=700 + number,
        body_only_ms=200,
        gap_bridged_ms=100,
        speaking_ms=None,
        confessional_ms=0,
        first_ms=0,
        last_ms=5000,
        appearances=2,
        share=0.1,
        is_singleton=False,
    )


TIMES = ScreenTime(
    people=tuple(person(number) for number in range(PEOPLE)),
    duration_ms=2_600_000,
    speaking_by=None,
    unidentified_face_ms=0,
    thresholds_hash="sha256:0",
)
SCREENTIME_BYTES = canonical_json(TIMES.model_dump(mode="json"))


def ref_of(path: str, data: bytes, schema: str) -> ArtifactRef:
    """What a manifest says of a file."""
    return ArtifactRef(
        key=path.partition(".")[0],
        path=path,
        sha256=sha256_hex(data),
        size_bytes=len(data),
        media_type="application/json",
        schema_name=schema,
        schema_version=1,
        records=1,
        artifact_type=None,
    )


def manifest_of(number: int) -> Manifest:
    """A run with as many files and stages as an episode's."""
    refs = [ref_of("screentime.json", SCREENTIME_BYTES, SCREENTIME)]
    refs += [ref_of(f"file{n}.json", b"{}", "bench.file") for n in range(FILES - 1)]
    stages = {
        f"stage{n}": StageEntry(
            status=StageState.SUCCESS,
            attempt=1,
            started=START,
            ended=START,
            duration_s=1.0,
            fingerprint=digest(b"x"),
            record_sha256=sha256_hex(b"x"),
            artifacts=tuple(refs[n::12]),
            producer=ME,
            counts={"things": 3},
            is_derived=False,
            derived_from=f"commits/stage{n}.a1.json",
        )
        for n in range(12)
    }
    return Manifest(
        producer="bench",
        pipeline="episode",
        asset=Asset(
            id=f"show-s{number // 100:02}e{number % 100:02}",
            input_hash=digest(b"x"),
            uri="file:///x",
            size_bytes=1,
            media={},
        ),
        source_sha_map={"x": digest(b"x")},
        run_id="r1",
        env="bench",
        profile="balanced",
        config={f"stage{n}": {"enabled": True, "setting": n} for n in range(12)},
        config_hash=digest_of({}),
        status=RunState.SUCCESS,
        revision=12,
        created_at=START,
        updated_at=START,
        stages=stages,
        metrics={},
    )


def lay(folder: Path, count: int) -> None:
    """So many runs in a folder, as publishing leaves them."""
    for number in range(count):
        manifest = manifest_of(number)
        place = folder / run_place(manifest.asset.id, "r1")
        place.mkdir(parents=True)
        for _, _, ref in manifest.artifact_refs:
            data = SCREENTIME_BYTES if ref.schema_name == SCREENTIME else b"{}"
            (place / ref.path).write_bytes(data)
        (place / MANIFEST).write_bytes(manifest.to_bytes())


def take_in(url: str, folder: Path, _share: range) -> None:
    """Ours: one consumer, until nothing is left."""
    with connected(url) as connection:
        store = open_store(str(folder), S3Options())
        stage_ = SyncScreenalytics()
        deliveries = Deliveries(connection, stage_.name)
        with Consumer(
            connection, stage_, lambda _: store, concurrency=AT_ONCE, lease_s=30
        ) as consumer:
            for _ in Line.of_store(connection, store, deliveries, consumer).run():
                pass


def insert(url: str, _folder: Path, share: range) -> None:
    """The limit: the same rows from values at hand, in a bare transaction each."""
    ready = [rows_of(manifest) for manifest in map(manifest_of, share)]
    with connected(url) as connection:
        barrier.wait()
        for statements in ready:
            with connection.transaction():
                for statement, values in statements:
                    connection.execute(statement, values, prepare=True)


def rows_of(manifest: Manifest) -> list[tuple[LiteralString, dict[str, Any]]]:
    """The statements and values that make what taking in a run leaves: five tables' rows."""
    sha256 = sha256_hex(manifest.to_bytes())
    origin = Origin(source="file:///bench", manifest_key=f"{manifest.asset.id}/{MANIFEST}")
    run = identity_of(manifest)
    receipt = run | {
        "stage": product.STAGE,
        "source": origin.source,
        "manifest_key": origin.manifest_key,
        "manifest_sha256": sha256,
        "schema_version": 1,
        "revision": 12,
        "status": "completed",
        "artifacts": Jsonb({}),
        "files": Jsonb({"screentime.json": "a" * 64}),
        "counts": Jsonb({product.RUNS: 1, product.PEOPLE: PEOPLE, product.ARTIFACTS: FILES}),
    }
    return [
        *product.statements(manifest, sha256, origin, TIMES),
        (queries("receipts")["save"], receipt),
        (DELIVERED, receipt),
    ]


DELIVERED: LiteralString = (
    "insert into pipeline.deliveries (stage, source, manifest_key, mark, status, attempt,"
    " next_attempt_at, producer, asset_id, run_id, manifest_sha256, ended_at)"
    " values (%(stage)s, %(source)s, %(manifest_key)s, 'x', 'SUCCESS', 1, null, %(producer)s,"
    " %(asset_id)s, %(run_id)s, %(manifest_sha256)s, now())"
)


barrier: Any = None


def started(work: Callable[[str, Path, range], None], *told: Any) -> None:
    """In a process of its own: whoever needs no preparation is ready at once."""
    if work is take_in:
        barrier.wait()
    work(*told)


def rate(
    work: Callable[[str, Path, range], None], url: str, folder: Path, count: int, workers: int
) -> float:
    """Runs a second, all workers together, from when they are ready."""
    global barrier  # noqa: PLW0603 - inherited by the processes
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "truncate screenalytics.runs, pipeline.inbox, pipeline.deliveries, pipeline.positions"
            " cascade"
        )
        connection.execute("checkpoint")
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(workers + 1)
    shares = [range(n * count // workers, (n + 1) * count // workers) for n in range(workers)]
    processes = [
        context.Process(target=started, args=(work, url, folder, share)) for share in shares
    ]
    for process in processes:
        process.start()
    barrier.wait()
    began = time.perf_counter()
    for process in processes:
        process.join()
    seconds = time.perf_counter() - began
    with psycopg.connect(url) as connection:
        found = connection.execute("select count(*) from screenalytics.runs").fetchone()
    if found != (count,):
        raise SystemExit(f"expected {count} runs, found {found}")
    return count / seconds


def measure_taking_in(root: Path, count: int) -> None:
    """Ours and the limit in turn, one at a time and three."""
    lay(root / "published", count)
    with EmbeddedPostgres(root / "pg").used() as url:
        with connected(url):
            pass
        for workers in (1, 3):
            pairs = [
                (
                    rate(take_in, url, root / "published", count, workers),
                    rate(insert, url, root / "published", count, workers),
                )
                for _ in range(ROUNDS)
            ]
            ours, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratio = statistics.median(mine / theirs for mine, theirs in pairs)
            say(f"taken in by {workers}                     {ours:8,.0f} runs/s")
            told = f"({ratio:.2f} of it)"
            say(f"  bare transactions, {workers} at a time  {bare:8,.0f} runs/s  {told}")


CONTRACTS = tuple(
    binary(f"file{number:02}.bin", schema="bench.file") for number in range(len(SIZES))
)


@stage(makes=CONTRACTS)
def make(bench: Bench, settings: Settings) -> Outcome:
    """Files of an episode's sizes."""
    dice = random.Random(1)
    for contract, size in zip(CONTRACTS, SIZES, strict=True):
        with bench.create(contract) as file:
            file.write(dice.randbytes(size))
    return Done(producer=ME)


PLAN = Plan(pipeline="bench", stages=(make,))


def completed_run(home: Path, name: str) -> FolderRun:
    """A run as the engine leaves it."""
    source = home / "source"
    home.mkdir(parents=True, exist_ok=True)
    source.write_bytes(b"x")

    def head(run_id: RunId) -> RunHead:
        return RunHead.of(
            PLAN,
            producer="bench",
            asset=Asset(
                id="film", input_hash=digest(b"x"), uri="file:///x", size_bytes=1, media={}
            ),
            source_sha_map={"source": digest(b"x")},
            run_id=run_id,
            env="bench",
            profile="balanced",
            config=PLAN.config({}),
            created_at=START,
        )

    run = Home(home).reserve(head, run_id=RunId(name), now=START)
    execute(
        Invocation(
            plan=PLAN,
            run=run,
            inputs=read_inputs({"source": source}, lambda done, total: None),
            request=Request(stages=PLAN.select(())),
            registry=BUILT_IN,
            observer=Quiet(),
            clock=lambda: START,
            executor=in_process,
        )
    )
    return run


class Quiet:
    """An observer that does not look."""

    def stage_started(self, stage: str) -> None:
        """Nothing."""

    def stage_progress(self, stage: str, done: float, total: float | None) -> None:
        """Nothing."""

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        """Nothing."""


def paths_of(run: FolderRun) -> list[Path]:
    """All that leaves of a run."""
    files = [run.folder / ref.path for _, _, ref in run.refold(None).artifact_refs]
    return [*files, *(run.folder / "commits").iterdir(), run.folder / "run.json"]


def bare(store: BareStore, run: FolderRun, place: str, at_once: int) -> None:
    """`obstore.put` of the same files."""
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda path: obstore.put(store, f"{place}/{path.name}", path), paths_of(run)))


def seconds_of(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def measure_publishing(root: Path, name: str, store: ObjectStore, bare_store: BareStore) -> None:
    """Ours, and bare puts of the same files, in turn."""
    rates: dict[str, list[float]] = {"ours": [], "one by one": [], f"{AT_ONCE} at once": []}
    for turn in range(ROUNDS):
        run = completed_run(root / f"{name}{turn}", f"r{turn}")
        total = sum(path.stat().st_size for path in paths_of(run)) / 1e6
        ours = partial(
            publish_run, run, store, lambda: START, lambda done, total: None, concurrency=AT_ONCE
        )
        rates["ours"].append(total / seconds_of(ours))
        for words, at_once in (("one by one", 1), (f"{AT_ONCE} at once", AT_ONCE)):
            put = partial(bare, bare_store, run, f"bare{turn}-{at_once}", at_once)
            rates[words].append(total / seconds_of(put))
    mine = statistics.median(rates["ours"])
    say(f"published to {name:8}             {mine:8,.0f} MB/s")
    for words in ("one by one", f"{AT_ONCE} at once"):
        ratio = statistics.median(a / b for a, b in zip(rates["ours"], rates[words], strict=True))
        limit = statistics.median(rates[words])
        say(f"  obstore.put, {words:10}         {limit:8,.0f} MB/s  ({ratio:.2f} of it)")


@contextmanager
def s3_server() -> Iterator[str]:
    """moto's server in a process of its own, with a bucket; its address."""
    address = f"http://127.0.0.1:{PORT}"
    command = [sys.executable, "-m", "moto.server", "-p", str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(200):
            try:
                ask = urllib.request.Request(f"{address}/bench", method="PUT")
                urllib.request.urlopen(ask, timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        yield address
        process.terminate()


def main() -> None:
    """Measure in turn, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=600)
    parser.add_argument("--write", action="store_true", help="put it into the docs")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        measure_taking_in(root, asked.runs)
        folder = root / "bare"
        folder.mkdir()
        store = open_store(str(root / "store"), S3Options(), make=True)
        measure_publishing(root, "a folder", store, LocalStore(folder))
        os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
        with s3_server() as address:
            bucket = open_store("s3://bench/runs", S3Options(endpoint=address))
            plain = S3Store("bench", endpoint=address, client_options={"allow_http": True})
            measure_publishing(root, "S3", bucket, plain)
    if asked.write:
        write_section("sync", section("\n".join(SAID), asked.runs))


def section(lines: str, count: int) -> str:
    """What was measured, as it stands on the page."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}"
    return f"""# Publish and sync

*Written by `python benchmarks/sync.py --write`.* {datetime.now(UTC).date()}, {machine}; medians of
{ROUNDS} rounds, both sides in turn in each. {count} runs of {FILES} files and {PEOPLE} people lie
in a folder; a consumer finds them, reads and verifies them, and makes their rows. Beside it stand
connections that insert the same rows from values at hand, a transaction a run, with all that a
commit costs. A run of {len(SIZES)} files and {sum(SIZES) / 1e6:.0f} MB is published to a folder and
to an S3 server on the same machine (moto's, in Python: slow itself); beside it, `obstore.put` of
the same files, which neither hashes, nor asks what is there already, nor makes a folder's files
durable.

Aimed at: taking in at 0.5 or more of bare transactions, with one consumer and with three;
publishing at 0.8 or more of `obstore.put`.

```text
{lines.strip()}
```
"""


if __name__ == "__main__":
    main()
