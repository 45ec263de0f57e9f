"""Publish a finished run: copy it to a store, its manifest last, and seal it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from filmgate.core.answers import PublishedAnswer
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Conflict, Invalid
from filmgate.core.manifest import Manifest
from filmgate.core.objects import ObjectStore, unconditional_error
from filmgate.core.ports import Clock, RunDirectory
from filmgate.core.progress import ProgressCallback
from filmgate.core.publishing import (
    MANIFEST,
    Announcement,
    ManifestLocation,
    Seal,
    is_plain_path,
    run_prefix,
)
from filmgate.core.states import RunState
from filmgate.store.durable import read_stream_facts
from filmgate.store.run_directory import COMMITS, HEAD
from filmgate.sync.verified_files import check_file

LARGE_BYTES = 32 << 20
"""Size in bytes above which a file is uploaded in parts, never completely read into memory."""

PROBE_KEY = ".filmgate/create-only"
PROBE = b"Filmgate tests with this object whether the store refuses to overwrite objects.\n"


@dataclass(frozen=True, kw_only=True)
class FileToPublish:
    """A file of the run, with its size and digest in the manifest or record."""

    path: str
    size_bytes: int
    sha256: str


def require_create_only(store: ObjectStore) -> None:
    """Raise Unavailable if a store lets one object overwrite another."""
    store.create(PROBE_KEY, PROBE)
    if store.create(PROBE_KEY, PROBE):
        raise unconditional_error(store.url, "a store that created the same object twice")


def publish_run(
    run: RunDirectory,
    store: ObjectStore,
    clock: Clock,
    on_progress: ProgressCallback,
    *,
    concurrency: int,
) -> PublishedAnswer:
    """Copy a completed run to a store: its files, then its records, then its manifest.

    Every file is first verified against the manifest. An object that already exists in the store is
    verified, too. The run is sealed before its first byte is in a store. After an interruption, the
    same call completes the upload. Nothing in the store is ever overwritten or deleted.

    Raises Invalid if the run is not completed or a file does not match the manifest, Conflict if
    the store has other bytes at one of the run's keys, Held if a runner holds the run's lease, and
    the errors of the store. The caller must announce the run.
    """
    with run.acquire_lease(clock()) as lease:
        manifest = run.close(lease)
        _check_completed(run, manifest)
        require_create_only(store)
        for _, _, ref in manifest.artifact_refs:
            _check_name(ref.path)
            check_file(run, ref)
        seal = run.read_seal()
        if seal is None:
            text = manifest.to_bytes().decode("utf-8")
            seal = Seal(manifest=text, sealed_at=clock(), to=store.url)
            run.seal(lease, seal)
        _check_records(run, manifest)
        data = seal.manifest.encode("utf-8")
        sha256 = sha256_hex(data)
        prefix = run_prefix(manifest.asset.id, manifest.run_id)
        artifact_files = (
            FileToPublish(path=ref.path, size_bytes=ref.size_bytes, sha256=ref.sha256)
            for _, _, ref in manifest.artifact_refs
        )
        files = [*artifact_files, *_list_records(run)]
        size_bytes = sum(file.size_bytes for file in files)
        upload = RunUpload(run, store, prefix, on_progress, size_bytes)
        uploaded = upload.put_all(files, concurrency)
        uploaded += create_or_verify(store, f"{prefix}/{MANIFEST}", data, sha256)
    return PublishedAnswer(
        producer=manifest.producer,
        asset_id=manifest.asset.id,
        run_id=manifest.run_id,
        source=store.url,
        manifest_key=f"{prefix}/{MANIFEST}",
        manifest_sha256=sha256,
        files=len(files) + 1,
        size_bytes=size_bytes + len(data),
        uploaded=uploaded,
        is_announced=False,
    )


def make_announcement(published: PublishedAnswer) -> Announcement:
    """Return the announcement of a published run, for the outbox."""
    return Announcement(
        producer=published.producer,
        asset_id=published.asset_id,
        run_id=published.run_id,
        origin=ManifestLocation(source=published.source, manifest_key=published.manifest_key),
        manifest_sha256=published.manifest_sha256,
    )


def create_or_verify(store: ObjectStore, key: str, data: bytes | Path, sha256: str) -> bool:
    """Create an object, or verify the existing one; return whether the object was created.

    Raises Conflict if the existing object has other bytes.
    """
    if store.create(key, data, sha256):
        return True
    _check_same(store, key, sha256)
    return False


class RunUpload:
    """The upload of a run's files to one prefix of a store."""

    def __init__(
        self,
        run: RunDirectory,
        store: ObjectStore,
        prefix: str,
        on_progress: ProgressCallback,
        total_bytes: int,
    ) -> None:
        self._run = run
        self._store = store
        self._prefix = prefix
        self._on_progress = on_progress
        self._total_bytes = total_bytes
        self._done_bytes = 0
        self._lock = Lock()

    def put_all(self, files: list[FileToPublish], concurrency: int) -> int:
        """Upload files concurrently; return how many objects were created.

        The first error cancels the remaining uploads.
        """
        with ThreadPoolExecutor(concurrency, thread_name_prefix="publish") as pool:
            try:
                return sum(pool.map(self._put, files))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _put(self, file: FileToPublish) -> bool:
        key = f"{self._prefix}/{file.path}"
        is_large = file.size_bytes > LARGE_BYTES
        data = self._run.path_of(file.path) if is_large else self._read(file)
        is_created = create_or_verify(self._store, key, data, file.sha256)
        with self._lock:
            self._done_bytes += file.size_bytes
            self._on_progress(self._done_bytes, self._total_bytes)
        return is_created

    def _read(self, file: FileToPublish) -> bytes:
        with self._run.open(file.path) as opened:
            data = opened.read(file.size_bytes + 1)
        facts = self._run.facts(file.path)  # reads the file only if its times have changed
        is_complete = len(data) == file.size_bytes
        if not is_complete or facts is None or facts.sha256 != file.sha256:
            raise Invalid(
                f"{file.path} changed during the upload",
                expected=f"sha256 {file.sha256}",
                got="other bytes",
                hint="Restore the file, and publish again",
            )
        return data


def _check_completed(run: RunDirectory, manifest: Manifest) -> None:
    if manifest.status is not RunState.SUCCESS:
        raise Invalid(
            f"run {manifest.run_id} is not completed",
            expected="status SUCCESS",
            got=manifest.status.value,
            hint=f"Run `filmgate status {run.folder}` to see its stages",
            reason="run_not_completed",
        )


def _check_records(run: RunDirectory, manifest: Manifest) -> None:
    """Raise Invalid if a record that the sealed manifest names is missing or was changed."""
    digests = run.ledger().record_digests
    for name, entry in manifest.stages.items():
        if entry.record_sha256 is not None and entry.record_sha256 not in digests:
            raise Invalid(
                f"the record of stage {name} does not match the sealed manifest",
                expected=f"sha256 {entry.record_sha256}",
                got="no record with this digest",
                hint=f"Restore {COMMITS}/ in {run.folder}",
            )


def _check_name(path: str) -> None:
    if not is_plain_path(path):
        raise Invalid(
            "a file name is not portable: some stores refuse it as a key",
            expected="printable characters except # ? * and \\, in parts between single slashes",
            got=repr(path),
            hint="Change the name of the file in the stage that makes it",
        )


def _list_records(run: RunDirectory) -> Iterator[FileToPublish]:
    """Yield the head and all records, from which the manifest can be derived again."""
    records = [f"{COMMITS}/{record.name}" for record in run.ledger().records]
    for path in (HEAD, *records):
        facts = read_stream_facts(run.open(path))
        yield FileToPublish(path=path, size_bytes=facts.size_bytes, sha256=facts.sha256)


def _check_same(store: ObjectStore, key: str, sha256: str) -> None:
    facts = read_stream_facts(store.open(key))
    if facts.sha256 != sha256:
        raise Conflict(
            f"{key} already exists in {store.url} with other bytes",
            expected=f"sha256 {sha256}",
            got=f"sha256 {facts.sha256}",
            hint="Check whether the object is damaged, or another installation published a run of "
            "this id; publish to another store, or run again with --new",
            reason="manifest_conflict" if key.endswith(f"/{MANIFEST}") else "object_conflict",
        )
