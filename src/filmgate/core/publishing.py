"""Publishing: where a finished run lies in an object store, and the seal that closes it."""

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import AwareDatetime

from filmgate.core.envelope import Text
from filmgate.core.records import Record

RUNS = "runs"
MANIFEST = "manifest.json"

_EPISODE = re.compile(r"(?P<show>.+)-s(?P<season>[0-9]{2,})e(?P<episode>[0-9]{2,})")


def run_place(asset_id: str, run_id: str) -> str:
    """The folder of a run: `runs/{show}/s{ss}/e{ee}/{run_id}` where the asset is an episode
    (`rhobh-s05e02`), else `runs/{asset_id}/{run_id}`, which is also the older form for all.

    No two runs of one producer have the same.
    """
    episode = _EPISODE.fullmatch(asset_id)
    if episode is None:
        return f"{RUNS}/{asset_id}/{run_id}"
    return f"{RUNS}/{episode['show']}/s{episode['season']}/e{episode['episode']}/{run_id}"


def run_at(key: str) -> tuple[str, str] | None:
    """The asset and the run whose manifest has this key, in either layout; None where it is no
    manifest's, but a file of a run, or lies elsewhere."""
    parts = key.split("/")
    if parts[0] != RUNS or parts[-1] != MANIFEST or not all(parts):
        return None
    match parts[1:-1]:
        case [asset, run]:
            return asset, run
        case [show, season, episode, run] if _EPISODE.fullmatch(f"{show}-{season}{episode}"):
            return f"{show}-{season}{episode}", run
    return None


def is_plain_path(path: str) -> bool:
    """Whether a path stays below its run in any store, and has no other spelling: names between
    single slashes, none of them `.` or `..`, of signs that can be seen and that no store reads
    otherwise."""
    names = path.split("/")
    is_straight = all(name not in {"", ".", ".."} for name in names)
    return is_straight and path.isprintable() and not set(path) & set("#\\?*")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a manifest was read: the address of a store, and the key in it."""

    source: str
    manifest_key: str

    @property
    def folder(self) -> str:
        """The run's folder in that store; paths in the manifest begin there. Empty: the store
        itself."""
        return self.manifest_key.rpartition("/")[0]


class Seal(Record):
    """`seal.json`: from here on a run stays as it is, for its manifest may be elsewhere."""

    schema_version: Literal[1] = 1
    manifest: Text
    """As it leaves, byte for byte: what is derived from the records may read otherwise in a later
    version of Filmgate."""
    sealed_at: AwareDatetime
    to: Text
    """The first store that it was on its way to."""


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """That a run lies whole in a store: an event of the outbox."""

    producer: str
    asset_id: str
    run_id: str
    origin: Origin
    manifest_sha256: str
