"""A published run: the files below a manifest in an object store."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, NoReturn

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, NotFound, pointer_part
from filmgate.core.gates import FileFacts, ReasonCode
from filmgate.core.intake import MISSING, Delivery
from filmgate.core.manifest import Manifest
from filmgate.core.objects import NO_STORE, ObjectStore
from filmgate.core.publishing import Origin, is_plain_path, run_at, run_place
from filmgate.core.records import ArtifactRef
from filmgate.core.states import RunState
from filmgate.store.durable import facts_of, inside
from filmgate.sync.reading import broken_file, missing_file

LARGEST_MANIFEST_BYTES = 64 << 20
"""A manifest of a thousand files has half a megabyte."""


class PublishedRun:
    """The port `RunFiles` on a store."""

    def __init__(self, store: ObjectStore, origin: Origin) -> None:
        self.origin = origin
        self._store = store

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file, by reading all of it."""
        try:
            return facts_of(self.open(path))
        except FileNotFoundError:
            return None

    def open(self, path: str) -> BinaryIO:
        """Read a file; FileNotFoundError where absent."""
        try:
            return self._store.open(self._key(path))
        except NotFound as error:
            if error.extra.get("reason") == NO_STORE:
                raise
            raise FileNotFoundError(path) from error

    def _key(self, path: str) -> str:
        return str(inside(PurePosixPath(self.origin.folder), path))

    def manifest_bytes(self) -> bytes:
        """The manifest as it lies there; Invalid where there is none, or one that is too large."""
        try:
            with self._store.open(self.origin.manifest_key) as file:
                data = file.read(LARGEST_MANIFEST_BYTES + 1)
        except NotFound as error:
            if error.extra.get("reason") == NO_STORE:
                raise
            raise Invalid(
                "there is no manifest",
                expected=self.origin.manifest_key,
                got=error.got or "nothing",
                hint="It may come yet; else publish the run again",
                reason=MISSING,
            ) from error
        if len(data) > LARGEST_MANIFEST_BYTES:
            raise Invalid(
                "this is no manifest",
                expected=f"at most {LARGEST_MANIFEST_BYTES} bytes",
                got="more",
                hint="Look at what wrote it",
                reason=ReasonCode.SCHEMA_INVALID.value,
            )
        return data

    def check_presence(self, manifest: Manifest) -> None:
        """Hold a listing of the run's folder against the manifest: every file is there, as long
        as it should be. Cheaper than reading them all; digests are for those that are read."""
        sizes = {
            entry.key: entry.size_bytes
            for page in self._store.pages(self.origin.folder)
            for entry in page
        }
        for _, _, ref in manifest.artifact_refs:
            size = sizes.get(self._key(ref.path))
            if size is None:
                raise missing_file(ref)
            if size != ref.size_bytes:
                expected = f"{ref.size_bytes} bytes, sha256 {ref.sha256}"
                raise broken_file(ref, ReasonCode.DIGEST_MISMATCH, expected, f"{size} bytes")


@dataclass(frozen=True, kw_only=True)
class Read:
    """A manifest that may be taken in."""

    manifest: Manifest
    sha256: str
    run: PublishedRun


def read_manifest(store: ObjectStore, delivery: Delivery) -> Read:
    """The manifest of a delivery: whole, of a version known here, of a completed run, where it
    belongs; else Invalid, or whatever the store raises."""
    run = PublishedRun(store, delivery.origin)
    data = run.manifest_bytes()
    sha256 = sha256_hex(data)
    if delivery.announced_sha256 not in {sha256, None}:
        raise Invalid(
            "the manifest is not the one that was announced",
            expected=f"sha256 {delivery.announced_sha256}",
            got=f"{len(data)} bytes, sha256 {sha256}",
            hint="Restore it, or publish the run again",
            reason=ReasonCode.DIGEST_MISMATCH.value,
        )
    manifest = Manifest.parse(data)
    _check_place(manifest, delivery.origin)
    if manifest.status is not RunState.SUCCESS:
        raise Invalid(
            f"run {manifest.run_id} is not completed",
            expected="status SUCCESS",
            got=manifest.status.value,
            hint="Only completed runs are published",
            reason="run_not_completed",
            json_pointer="/status",
        )
    _check_names(manifest)
    return Read(manifest=manifest, sha256=sha256, run=run)


def _check_place(manifest: Manifest, origin: Origin) -> None:
    """Hold where the manifest lies against whose it is."""
    due = run_at(origin.manifest_key)
    if due != (manifest.asset.id, manifest.run_id):
        raise Invalid(
            "the manifest of another run lies here",
            expected=f"that of {' / '.join(due)}" if due else run_place("ASSET", "RUN"),
            got=f"{manifest.asset.id} / {manifest.run_id}",
            hint="Publish the run again, from where it was made",
            reason=ReasonCode.RUN_ID_MISMATCH.value,
            json_pointer="/run_id" if due and due[0] == manifest.asset.id else "/asset/id",
        )


def _check_names(manifest: Manifest) -> None:
    """Keys and paths of files are each named once, and no path leaves the run."""
    keys: set[str] = set()
    paths: set[str] = set()
    for stage, entry in manifest.stages.items():
        for number, ref in enumerate(entry.artifacts):
            place = f"/stages/{pointer_part(stage)}/artifacts/{number}"
            if not is_plain_path(ref.path):
                _refuse_name(ref, f"{place}/path", "a plain path below the manifest", ref.path)
            if ref.path in paths:
                _refuse_name(ref, f"{place}/path", "every path once", f"{ref.path} twice")
            if ref.key in keys:
                _refuse_name(ref, f"{place}/key", "every artifact key once", f"{ref.key} twice")
            keys.add(ref.key)
            paths.add(ref.path)


def _refuse_name(ref: ArtifactRef, pointer: str, expected: str, got: str) -> NoReturn:
    raise Invalid(
        "the manifest names a file that cannot be",
        expected=expected,
        got=got,
        hint="Publish the run again, from where it was made",
        reason=ReasonCode.SCHEMA_INVALID.value,
        artifact_key=ref.key,
        json_pointer=pointer,
    )
