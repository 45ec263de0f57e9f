"""Publish and sync, each compared with its limit.

    python benchmarks/sync.py [--runs 600] [--write]

Ingest: consumers ingest runs from a folder, compared with connections that insert the same rows
from prepared values, in one bare transaction per run; with one consumer, then with three. Publish:
the files of a run are published to a folder and to an S3 server, compared with `obstore.put` of the
same files, one by one and as many at once as publishing does.
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
from collections.abc import Callable, Iterator, Mapping
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
from filmgate.core.ports import StageContext
from filmgate.core.progress import NullObserver
from filmgate.core.publishing import MANIFEST, ManifestLocation, run_prefix
from filmgate.core.receipts import identity_of
from filmgate.core.records import ArtifactRef, Asset, RunHead
from filmgate.core.states import RunState, StageState
from filmgate.db import screenalytics
from filmgate.db.connection import connected
from filmgate.db.deliveries import Deliveries
from filmgate.db.embedded import EmbeddedPostgres
from filmgate.db.queries import queries
from filmgate.engine.inputs import read_inputs
from filmgate.engine.invocation import Invocation, Request, in_process_executor
from filmgate.engine.runner import execute
from filmgate.pipelines.episode import summary
from filmgate.pipelines.episode.screen_times import SCREENTIME, PersonTime, ScreenTime
from filmgate.store.addresses import S3Options, open_store
from filmgate.store.home import Home
from filmgate.store.run_directory import FolderRun
from filmgate.sync.consumer import Consumer
from filmgate.sync.publish import publish_run
from filmgate.sync.screenalytics import ScreenalyticsIngestor
from filmgate.sync.subscription import Subscription
from filmgate.wiring import pipelines
from page_sections import log, logged_text, write_section

FILES = 24
"""Number of files of an episode's run."""
PEOPLE = 8
ROUNDS = 3
CONCURRENCY = 8
PRODUCER = Producer(name="bench", version="1")
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SIZES = [200, 2_000, 20_000, 200_000, 2_000_000, 8_000_000] * 4
"""Sizes in bytes of the files of a published run, similar to those of an episode."""
PORT = 6173


def person_time(number: int) -> PersonTime:
    """Make the screen time of a person."""
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


SCREEN_TIME = ScreenTime(
    people=tuple(person_time(number) for number in range(PEOPLE)),
    duration_ms=2_600_000,
    speaking_by=None,
    unidentified_face_ms=0,
    thresholds_hash="sha256:0",
)
SCREENTIME_BYTES = canonical_json(SCREEN_TIME.model_dump(mode="json"))


def make_ref(path: str, data: bytes, schema: str) -> ArtifactRef:
    """Make a manifest's entry of a file."""
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


def make_manifest(number: int) -> Manifest:
    """Make the manifest of a run with as many files and stages as an episode's."""
    refs = [make_ref("screentime.json", SCREENTIME_BYTES, SCREENTIME)]
    refs += [make_ref(f"file{n}.json", b"{}", "bench.file") for n in range(FILES - 1)]
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
            producer=PRODUCER,
            counts={"items": 3},
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


def write_published_runs(folder: Path, count: int) -> None:
    """Write published runs into a folder."""
    for number in range(count):
        manifest = make_manifest(number)
        run_folder = folder / run_prefix(manifest.asset.id, "r1")
        run_folder.mkdir(parents=True)
        for _, _, ref in manifest.artifact_refs:
            data = SCREENTIME_BYTES if ref.schema_name == SCREENTIME else b"{}"
            (run_folder / ref.path).write_bytes(data)
        (run_folder / MANIFEST).write_bytes(manifest.to_bytes())


def ingest(url: str, folder: Path, _share: range) -> None:
    """Ingest all runs with one consumer."""
    with connected(url) as connection:
        store = open_store(str(folder), S3Options())
        ingestor = ScreenalyticsIngestor(pipelines.summaries_of)
        deliveries = Deliveries(connection, ingestor.name)
        with Consumer(
            connection, ingestor, lambda _: store, concurrency=CONCURRENCY, lease_s=30
        ) as consumer:
            for _ in Subscription.from_store(connection, store, deliveries, consumer).run():
                pass


def insert(url: str, _folder: Path, share: range) -> None:
    """Insert the same rows from prepared values, one bare transaction per run: the limit."""
    prepared = [prepare_statements(manifest) for manifest in map(make_manifest, share)]
    with connected(url) as connection:
        barrier.wait()
        for statements in prepared:
            with connection.transaction():
                for statement, values in statements:
                    connection.execute(statement, values, prepare=True)


def prepare_statements(manifest: Manifest) -> list[tuple[str, Mapping[str, Any]]]:
    """Prepare the statements and values for the rows of an ingested run, in five tables."""
    sha256 = sha256_hex(manifest.to_bytes())
    origin = ManifestLocation(
        source="file:///bench", manifest_key=f"{manifest.asset.id}/{MANIFEST}"
    )
    run = identity_of(manifest)
    receipt = run | {
        "stage": screenalytics.STAGE,
        "source": origin.source,
        "manifest_key": origin.manifest_key,
        "manifest_sha256": sha256,
        "schema_version": 1,
        "revision": 12,
        "status": "completed",
        "artifacts": Jsonb({}),
        "files": Jsonb({"screentime.json": "a" * 64}),
        "counts": Jsonb(
            {screenalytics.RUNS: 1, summary.TABLE: PEOPLE, screenalytics.ARTIFACTS: FILES}
        ),
    }
    ref = manifest.first_file_with_schema(SCREENTIME)
    assert ref is not None
    return [
        *screenalytics.statements(manifest, sha256, origin),
        (summary.add_people(), summary.people_row(manifest, ref, SCREEN_TIME)),
        (queries("receipts")["save"], receipt),
        (DELIVERED, receipt),
    ]


DELIVERED: LiteralString = (
    "insert into deliveries (stage, source, manifest_key, mark, status, attempt,"
    " next_attempt_at, producer, asset_id, run_id, manifest_sha256, ended_at)"
    " values (%(stage)s, %(source)s, %(manifest_key)s, 'x', 'SUCCESS', 1, null, %(producer)s,"
    " %(asset_id)s, %(run_id)s, %(manifest_sha256)s, now())"
)


barrier: Any = None


def run_in_process(work: Callable[[str, Path, range], None], *arguments: Any) -> None:
    """Run `work` in a worker process; `insert` waits at the barrier itself, after preparation."""
    if work is ingest:
        barrier.wait()
    work(*arguments)


def measure_rate(
    work: Callable[[str, Path, range], None], url: str, folder: Path, count: int, workers: int
) -> float:
    """Return the runs per second of all workers together, from when all are ready."""
    global barrier  # noqa: PLW0603 - inherited by the processes
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("truncate product_runs, inbox, deliveries, positions cascade")
        connection.execute("checkpoint")
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(workers + 1)
    shares = [range(n * count // workers, (n + 1) * count // workers) for n in range(workers)]
    processes = [
        context.Process(target=run_in_process, args=(work, url, folder, share)) for share in shares
    ]
    for process in processes:
        process.start()
    barrier.wait()
    started = time.perf_counter()
    for process in processes:
        process.join()
    seconds = time.perf_counter() - started
    with psycopg.connect(url) as connection:
        found = connection.execute("select count(*) from product_runs").fetchone()
    if found != (count,):
        raise SystemExit(f"expected {count} runs, found {found}")
    return count / seconds


def measure_ingest(root: Path, count: int) -> None:
    """Compare the ingest with its limit, with one and with three workers."""
    published = root / "published"
    write_published_runs(published, count)
    with EmbeddedPostgres(root / "pg").running() as url:
        with connected(url):
            pass
        for workers in (1, 3):
            pairs = [
                (
                    measure_rate(ingest, url, published, count, workers),
                    measure_rate(insert, url, published, count, workers),
                )
                for _ in range(ROUNDS)
            ]
            ingested, inserted = (statistics.median(rates) for rates in zip(*pairs, strict=True))
            ratio = statistics.median(rate / limit for rate, limit in pairs)
            share = f"({ratio:.2f} of it)"
            log(f"ingested by {workers}                     {ingested:8,.0f} runs/s")
            log(f"  bare transactions, {workers} at a time  {inserted:8,.0f} runs/s  {share}")


CONTRACTS = tuple(
    binary(f"file{number:02}.bin", schema="bench.file") for number in range(len(SIZES))
)


@stage(makes=CONTRACTS)
def make(context: StageContext, settings: Settings) -> Outcome:
    """Make files of the sizes in `SIZES`."""
    rng = random.Random(1)
    for contract, size in zip(CONTRACTS, SIZES, strict=True):
        with context.create(contract) as file:
            file.write(rng.randbytes(size))
    return Done(producer=PRODUCER)


PLAN = Plan(pipeline="bench", stages=(make,))


def completed_run(home: Path, name: str) -> FolderRun:
    """Execute a run with the engine."""
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
            observer=NullObserver(),
            clock=lambda: START,
            executor=in_process_executor,
        )
    )
    return run


def published_files(run: FolderRun) -> list[Path]:
    """List the files that publishing a run uploads."""
    files = [run.folder / ref.path for _, _, ref in run.fold_manifest(None).artifact_refs]
    return [*files, *(run.folder / "commits").iterdir(), run.folder / "run.json"]


def put_files(store: BareStore, run: FolderRun, prefix: str, concurrency: int) -> None:
    """Upload the files of a run with `obstore.put`."""
    with ThreadPoolExecutor(concurrency) as pool:
        list(
            pool.map(
                lambda path: obstore.put(store, f"{prefix}/{path.name}", path),
                published_files(run),
            )
        )


def time_s(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def measure_publishing(root: Path, name: str, store: ObjectStore, bare_store: BareStore) -> None:
    """Compare publishing with `obstore.put` of the same files."""
    variants = {"one by one": 1, f"{CONCURRENCY} at once": CONCURRENCY}
    publish_rates: list[float] = []
    put_rates: dict[str, list[float]] = {variant: [] for variant in variants}
    for turn in range(ROUNDS):
        run = completed_run(root / f"{name}{turn}", f"r{turn}")
        megabytes = sum(path.stat().st_size for path in published_files(run)) / 1e6
        publish = partial(
            publish_run,
            run,
            store,
            lambda: START,
            lambda done, total: None,
            concurrency=CONCURRENCY,
        )
        publish_rates.append(megabytes / time_s(publish))
        for variant, concurrency in variants.items():
            put = partial(put_files, bare_store, run, f"bare{turn}-{concurrency}", concurrency)
            put_rates[variant].append(megabytes / time_s(put))
    log(f"published to {name:8}             {statistics.median(publish_rates):8,.0f} MB/s")
    for variant, rates in put_rates.items():
        ratio = statistics.median(a / b for a, b in zip(publish_rates, rates, strict=True))
        limit = statistics.median(rates)
        log(f"  obstore.put, {variant:10}         {limit:8,.0f} MB/s  ({ratio:.2f} of it)")


@contextmanager
def s3_server() -> Iterator[str]:
    """Run moto's S3 server, with a bucket; yield its address."""
    address = f"http://127.0.0.1:{PORT}"
    command = [sys.executable, "-m", "moto.server", "-p", str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(200):
            try:
                request = urllib.request.Request(f"{address}/bench", method="PUT")
                urllib.request.urlopen(request, timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        yield address
        process.terminate()


def main() -> None:
    """Measure everything, and write the section of the page if requested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=600, help="runs to ingest")
    parser.add_argument("--write", action="store_true", help="write docs/explanation/benchmarks.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        measure_ingest(root, options.runs)
        folder = root / "bare"
        folder.mkdir()
        store = open_store(str(root / "store"), S3Options(), make=True)
        measure_publishing(root, "a folder", store, LocalStore(folder))
        os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
        with s3_server() as address:
            bucket = open_store("s3://bench/runs", S3Options(endpoint=address))
            bare_bucket = S3Store("bench", endpoint=address, client_options={"allow_http": True})
            measure_publishing(root, "S3", bucket, bare_bucket)
    if options.write:
        write_section("sync", section(options.runs))


def section(count: int) -> str:
    """Return the section of the page."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}"
    return f"""# Publish and sync

*Written by `python benchmarks/sync.py --write`.* {datetime.now(UTC).date()}, {machine}.
Figures are medians of {ROUNDS} rounds with both sides in each.

Ingest: {count} runs of {FILES} files and {PEOPLE} people are in a folder. A consumer finds them,
verifies them, and makes their rows. It is compared with connections that insert the same rows from
prepared values, one transaction per run, including the cost of each commit.

Publishing: a run of {len(SIZES)} files and {sum(SIZES) / 1e6:.0f} MB is published to a folder and
to an S3 server on the same machine (moto's, which is in Python and slow itself). It is compared
with `obstore.put` of the same files, which does not hash, does not check what exists already, and
does not make a folder's files durable.

Targets: ingest at 0.5 or more of bare transactions, with one consumer and with three. Publishing at
0.8 or more of `obstore.put`.

```text
{logged_text().strip()}
```
"""


if __name__ == "__main__":
    main()
