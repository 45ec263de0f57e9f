"""A published run: the files of a manifest in an object store."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, NoReturn

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, NotFound, StoreNotFound, pointer_part
from filmgate.core.gates import FileFacts, ReasonCode
from filmgate.core.intake import Delivery
from filmgate.core.manifest import Manifest
from filmgate.core.objects import ObjectStore
from filmgate.core.publishing import ManifestLocation, is_plain_path, parse_manifest_key, run_prefix
from filmgate.core.records import ArtifactRef
from filmgate.core.states import RunState
from filmgate.store.durable import read_stream_facts, safe_join
from filmgate.sync.verified_files import mismatch_error, missing_file_error

LARGEST_MANIFEST_BYTES = 64 << 20
"""Maximum size of a manifest, in bytes; one with a thousand files has half a megabyte."""


class PublishedRun:
    """Implementation of the port `RunFiles` for a run in an object store."""

    def __init__(self, store: ObjectStore, origin: ManifestLocation) -> None:
        self.origin = origin
        self._store = store

    def facts(self, path: str) -> FileFacts | None:
        """Return size and digest of a file, by reading all of it; None if it does not exist."""
        try:
            return read_stream_facts(self.open(path))
        except FileNotFoundError:
            return None

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading. Raises FileNotFoundError if it does not exist."""
        try:
            return self._store.open(self._key(path))
        except StoreNotFound:
            raise
        except NotFound as error:
            raise FileNotFoundError(path) from error

    def _key(self, path: str) -> str:
        return str(safe_join(PurePosixPath(self.origin.folder), path))

    def manifest_bytes(self) -> bytes:
        """Return the bytes of the manifest. Raises Invalid if it is missing or too large."""
        try:
            with self._store.open(self.origin.manifest_key) as file:
                data = file.read(LARGEST_MANIFEST_BYTES + 1)
        except StoreNotFound:
            raise
        except NotFound as error:
            raise Invalid(
                "the manifest is missing",
                expected=self.origin.manifest_key,
                got=error.got or "nothing",
                hint="Wait until the manifest is copied, or publish the run again",
                reason=ReasonCode.MISSING_ARTIFACT.value,
            ) from error
        if len(data) > LARGEST_MANIFEST_BYTES:
            raise Invalid(
                "the manifest is too large",
                expected=f"at most {LARGEST_MANIFEST_BYTES} bytes",
                got="more",
                hint="Check the program that wrote the manifest",
                reason=ReasonCode.SCHEMA_INVALID.value,
            )
        return data

    def check_presence(self, manifest: Manifest) -> None:
        """Check that every file of the manifest exists with its size; raise Invalid if not.

        One listing of the run's folder is cheaper than reading all files. Digests are verified when
        the files are read.
        """
        sizes = {
            entry.key: entry.size_bytes
            for page in self._store.pages(self.origin.folder)
            for entry in page
        }
        for _, _, ref in manifest.artifact_refs:
            size = sizes.get(self._key(ref.path))
            if size is None:
                raise missing_file_error(ref)
            if size != ref.size_bytes:
                expected = f"{ref.size_bytes} bytes, sha256 {ref.sha256}"
                raise mismatch_error(ref, ReasonCode.DIGEST_MISMATCH, expected, f"{size} bytes")


@dataclass(frozen=True, kw_only=True)
class VerifiedManifest:
    """A manifest that passed `read_manifest`."""

    manifest: Manifest
    sha256: str
    run: PublishedRun


def read_manifest(store: ObjectStore, delivery: Delivery) -> VerifiedManifest:
    """Read and verify the manifest of a delivery.

    Raises Invalid unless the manifest is complete, has a supported version, belongs to a completed
    run and is stored at the key of that run. Raises the errors of the store, too.
    """
    run = PublishedRun(store, delivery.origin)
    data = run.manifest_bytes()
    sha256 = sha256_hex(data)
    if delivery.announced_sha256 not in {sha256, None}:
        raise Invalid(
            "the manifest does not match its announcement",
            expected=f"sha256 {delivery.announced_sha256}",
            got=f"{len(data)} bytes, sha256 {sha256}",
            hint="Restore the manifest, or publish the run again",
            reason=ReasonCode.DIGEST_MISMATCH.value,
        )
    manifest = Manifest.parse(data)
    _check_place(manifest, delivery.origin)
    if manifest.status is not RunState.SUCCESS:
        raise Invalid(
            f"run {manifest.run_id} is not completed",
            expected="status SUCCESS",
            got=manifest.status.value,
            hint="Complete the run, then publish it",
            reason="run_not_completed",
            json_pointer="/status",
        )
    _check_names(manifest)
    return VerifiedManifest(manifest=manifest, sha256=sha256, run=run)


def _check_place(manifest: Manifest, origin: ManifestLocation) -> None:
    """Raise Invalid unless the key of the manifest is that of its asset and run."""
    expected = parse_manifest_key(origin.manifest_key)
    if expected != (manifest.asset.id, manifest.run_id):
        raise Invalid(
            "the manifest belongs to another run",
            expected=f"run {' / '.join(expected)}" if expected else run_prefix("ASSET", "RUN"),
            got=f"{manifest.asset.id} / {manifest.run_id}",
            hint="Publish the run again from the installation that made it",
            reason=ReasonCode.RUN_ID_MISMATCH.value,
            json_pointer="/run_id"
            if expected and expected[0] == manifest.asset.id
            else "/asset/id",
        )


def _check_names(manifest: Manifest) -> None:
    """Raise Invalid if a key or path occurs twice, or a path is outside the manifest's folder."""
    keys: set[str] = set()
    paths: set[str] = set()
    for stage, entry in manifest.stages.items():
        for number, ref in enumerate(entry.artifacts):
            pointer = f"/stages/{pointer_part(stage)}/artifacts/{number}"
            if not is_plain_path(ref.path):
                _refuse_name(ref, f"{pointer}/path", "a plain path below the manifest", ref.path)
            if ref.path in paths:
                _refuse_name(ref, f"{pointer}/path", "every path once", f"{ref.path} twice")
            if ref.key in keys:
                _refuse_name(ref, f"{pointer}/key", "every artifact key once", f"{ref.key} twice")
            keys.add(ref.key)
            paths.add(ref.path)


def _refuse_name(ref: ArtifactRef, pointer: str, expected: str, got: str) -> NoReturn:
    raise Invalid(
        "the manifest contains an invalid file name",
        expected=expected,
        got=got,
        hint="Publish the run again from the installation that made it",
        reason=ReasonCode.SCHEMA_INVALID.value,
        artifact_key=ref.key,
        json_pointer=pointer,
    )
