"""Publishing: a finished run leaves, its manifest last, and stays as it is from then on."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from filmgate.core.answers import PublishedAnswer
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Conflict, Invalid, Unavailable
from filmgate.core.manifest import Manifest
from filmgate.core.objects import ObjectStore
from filmgate.core.ports import Clock, RunDirectory
from filmgate.core.publishing import MANIFEST, Announcement, Origin, Seal, is_plain_path, run_place
from filmgate.core.records import ArtifactRef
from filmgate.core.states import RunState
from filmgate.store.durable import facts_of
from filmgate.store.run_directory import COMMITS, HEAD
from filmgate.sync.reading import check_file

Told = Callable[[float, float], None]
"""Hears how many bytes are done, and of how many."""

LARGE_BYTES = 32 << 20
"""What is larger goes up in parts, and is never whole in memory."""

PROBE_KEY = ".filmgate/create-only"
PROBE = b"Filmgate asks with this object whether the store keeps what is there already.\n"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A file of the run on its way: where it lies, and what it has to be."""

    path: str
    size_bytes: int
    sha256: str


def require_create_only(store: ObjectStore) -> None:
    """Raise Unavailable where a store would let one object take another's place."""
    store.create(PROBE_KEY, PROBE)
    if store.create(PROBE_KEY, PROBE):
        raise Unavailable(
            f"{store.url} does not keep what is there already",
            expected="a store that honours If-None-Match: * (S3 since 2024, Ceph, a folder)",
            got="one that made the same object twice",
            hint="Publish to another; two writers could overwrite each other here",
            reason="conditional_create_unsupported",
        )


def publish_run(
    run: RunDirectory,
    store: ObjectStore,
    clock: Clock,
    told: Told,
    *,
    concurrency: int,
) -> PublishedAnswer:
    """Put a completed run into a store: its files, then its records, then its manifest.

    Every file is held against the manifest first, and again as it lies in the store where it was
    there already. From its first byte in a store the run is sealed. Interrupted anywhere, the
    same call completes it. Nothing in the store is ever overwritten or deleted.

    Raises Invalid where the run is not completed or not whole, Conflict where other bytes lie in
    its place, Held where a runner works on it, and whatever the store raises. The caller still has
    to announce it.
    """
    with run.hold(clock()) as lease:
        manifest = run.close(lease)
        _check_completed(run, manifest)
        require_create_only(store)
        for _, _, ref in manifest.artifact_refs:
            _check_name(ref.path)
            check_file(run, ref)
        seal = run.seal_there()
        if seal is None:
            text = manifest.to_bytes().decode("utf-8")
            seal = Seal(manifest=text, sealed_at=clock(), to=store.url)
            run.seal(lease, seal)
        _check_records(run, manifest)
        data = seal.manifest.encode("utf-8")
        sha256 = sha256_hex(data)
        place = run_place(manifest.asset.id, manifest.run_id)
        files = (_piece(ref) for _, _, ref in manifest.artifact_refs)
        pieces = [*files, *_evidence(run)]
        parcel = Parcel(run, store, place, told, sum(each.size_bytes for each in pieces))
        made = parcel.put_all(pieces, concurrency)
        made += put_same(store, f"{place}/{MANIFEST}", data, sha256)
    return PublishedAnswer(
        producer=manifest.producer,
        asset_id=manifest.asset.id,
        run_id=manifest.run_id,
        source=store.url,
        manifest_key=f"{place}/{MANIFEST}",
        manifest_sha256=sha256,
        files=len(pieces) + 1,
        size_bytes=sum(each.size_bytes for each in pieces) + len(data),
        uploaded=made,
        is_announced=False,
    )


def announcement_of(published: PublishedAnswer) -> Announcement:
    """What an outbox tells of it."""
    return Announcement(
        producer=published.producer,
        asset_id=published.asset_id,
        run_id=published.run_id,
        origin=Origin(source=published.source, manifest_key=published.manifest_key),
        manifest_sha256=published.manifest_sha256,
    )


def put_same(store: ObjectStore, key: str, data: bytes | Path, sha256: str) -> bool:
    """Make an object, or see that the one that is there has the same bytes; whether it was made.

    Raises Conflict where it has others.
    """
    if store.create(key, data, sha256):
        return True
    _check_same(store, key, sha256)
    return False


class Parcel:
    """The files of one run on their way to one place."""

    def __init__(
        self, run: RunDirectory, store: ObjectStore, place: str, told: Told, total_bytes: int
    ) -> None:
        self._run = run
        self._store = store
        self._place = place
        self._told = told
        self._total = total_bytes
        self._done = 0
        self._lock = Lock()

    def put_all(self, pieces: list[Piece], concurrency: int) -> int:
        """Put several at once; how many were made. The first that fails stops the others."""
        with ThreadPoolExecutor(concurrency, thread_name_prefix="publish") as pool:
            try:
                return sum(pool.map(self._put, pieces))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _put(self, piece: Piece) -> bool:
        key = f"{self._place}/{piece.path}"
        is_large = piece.size_bytes > LARGE_BYTES
        data = self._run.path_of(piece.path) if is_large else self._read(piece)
        is_made = put_same(self._store, key, data, piece.sha256)
        with self._lock:
            self._done += piece.size_bytes
            self._told(self._done, self._total)
        return is_made

    def _read(self, piece: Piece) -> bytes:
        with self._run.open(piece.path) as file:
            data = file.read(piece.size_bytes + 1)
        facts = self._run.facts(piece.path)  # read again only where its times changed
        is_whole = len(data) == piece.size_bytes
        if not is_whole or facts is None or facts.sha256 != piece.sha256:
            raise Invalid(
                f"{piece.path} changed on its way",
                expected=f"sha256 {piece.sha256}",
                got="other bytes",
                hint="Restore it, and publish again",
            )
        return data


def _check_completed(run: RunDirectory, manifest: Manifest) -> None:
    if manifest.status is not RunState.SUCCESS:
        raise Invalid(
            f"run {manifest.run_id} is not completed",
            expected="a run that is SUCCESS",
            got=manifest.status.value,
            hint=f"See `filmgate status {run.folder}`",
            reason="run_not_completed",
        )


def _check_records(run: RunDirectory, manifest: Manifest) -> None:
    """Hold the records against the manifest, which may have been sealed long ago."""
    there = run.ledger().digests
    for name, entry in manifest.stages.items():
        if entry.record_sha256 is not None and entry.record_sha256 not in there:
            raise Invalid(
                f"the record of stage {name} is not what it was when the run was sealed",
                expected=f"sha256 {entry.record_sha256}",
                got="no record of that digest",
                hint=f"Restore {COMMITS}/ in {run.folder}",
            )


def _check_name(path: str) -> None:
    if not is_plain_path(path):
        raise Invalid(
            "a file's name cannot be a key in every store",
            expected="names of printable signs without # ? * and \\, between single slashes",
            got=repr(path),
            hint="Have the stage make it under another name",
        )


def _piece(ref: ArtifactRef) -> Piece:
    return Piece(path=ref.path, size_bytes=ref.size_bytes, sha256=ref.sha256)


def _evidence(run: RunDirectory) -> Iterator[Piece]:
    """The head and every record, from which anybody can derive the manifest again."""
    records = [f"{COMMITS}/{record.name}" for record in run.ledger().records]
    for path in (HEAD, *records):
        facts = facts_of(run.open(path))
        yield Piece(path=path, size_bytes=facts.size_bytes, sha256=facts.sha256)


def _check_same(store: ObjectStore, key: str, sha256: str) -> None:
    facts = facts_of(store.open(key))
    if facts.sha256 != sha256:
        raise Conflict(
            f"{key} lies in {store.url} already, with other bytes",
            expected=f"sha256 {sha256}",
            got=f"sha256 {facts.sha256}",
            hint="It was damaged there, or another installation published a run of this id: look "
            "at it, publish elsewhere, or run it again with --new",
            reason="manifest_conflict" if key.endswith(f"/{MANIFEST}") else "object_conflict",
        )
