"""Publishing: the layout of runs in an object store, and the seal that closes a run."""

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import AwareDatetime

from filmgate.core.digest import canonical_json
from filmgate.core.envelope import Sha256, Text
from filmgate.core.records import Record

RUNS = "runs"
MANIFEST = "manifest.json"

_NUMBERED = re.compile(r"(?P<show>.+)-s(?P<season>[0-9]{2,})e(?P<number>[0-9]{2,})")


def run_prefix(asset_id: str, run_id: str) -> str:
    """Return the folder of a run in a store; unique among the runs of one producer.

    `runs/{show}/s{ss}/e{ee}/{run_id}` if the asset is numbered like `rhobh-s05e02`, otherwise
    `runs/{asset_id}/{run_id}`, which older releases used for all assets.
    """
    parts = _NUMBERED.fullmatch(asset_id)
    if parts is None:
        return f"{RUNS}/{asset_id}/{run_id}"
    return f"{RUNS}/{parts['show']}/s{parts['season']}/e{parts['number']}/{run_id}"


def parse_manifest_key(key: str) -> tuple[str, str] | None:
    """Return the asset id and run id of a manifest's key, in either layout of `run_prefix`.

    None for any other key, such as that of another file of a run.
    """
    parts = key.split("/")
    if parts[0] != RUNS or parts[-1] != MANIFEST or not all(parts):
        return None
    match parts[1:-1]:
        case [asset, run]:
            return asset, run
        case [show, season, number, run] if _NUMBERED.fullmatch(f"{show}-{season}{number}"):
            return f"{show}-{season}{number}", run
    return None


def is_plain_path(path: str) -> bool:
    """Whether a path stays inside its run in every store and has only one spelling.

    It consists of names between single slashes. No name is `.` or `..`. All characters are
    printable and have no special meaning in any store.
    """
    names = path.split("/")
    is_normalised = all(name not in {"", ".", ".."} for name in names)
    return is_normalised and path.isprintable() and not set(path) & set("#\\?*")


@dataclass(frozen=True, kw_only=True)
class ManifestLocation:
    """Where a manifest is stored: the address of a store, and the key in it."""

    source: str
    manifest_key: str

    @property
    def folder(self) -> str:
        """Folder of the run in the store, to which paths in the manifest are relative; empty for
        the root of the store."""
        return self.manifest_key.rpartition("/")[0]


class Seal(Record):
    """`seal.json`: closes a run for good, because its manifest may already be published."""

    schema_version: Literal[1] = 1
    manifest: Text
    """The manifest as published, byte for byte; a later version of Filmgate may derive another one
    from the same records."""
    sealed_at: AwareDatetime
    to: Text
    """Address of the first store that the run was published to."""
    published_sha256: Sha256 | None = None
    """Digest of the manifest as published, if a person was erased from the run afterwards; then
    `manifest` is the one after the erasure. None for other runs."""

    def to_bytes(self) -> bytes:
        """Encode the seal as stored on disk."""
        return canonical_json(self.model_dump(mode="json", exclude_none=True)) + b"\n"


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """An event of the outbox: a run is completely stored in a store."""

    producer: str
    asset_id: str
    run_id: str
    origin: ManifestLocation
    manifest_sha256: str
