"""Game sessions: what was asked of them on the command line, as an input and settings of a run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filmgate.app.settings import Settings
from filmgate.app.stores import open_store
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import NotFound, UsageError

if TYPE_CHECKING:
    from filmgate.core.objects import ObjectStore

BOTH = "both"
STAGES = ("extraction", "manifest")

TASK_LIST = "task_list.txt"
SOURCE, TARGET = "game-data", "game-data-manifest"
"""Where nothing is named."""

LISTS = "task_lists"
"""The folder in the home."""


@dataclass(frozen=True, kw_only=True)
class GameplayOptions:
    """What was asked; None where nothing was."""

    stage: str = BOTH
    source_bucket: str | None = None
    manifest_bucket: str | None = None
    output_path: str | None = None
    prefix: str | None = None
    skip_existing: bool | None = None
    compress: bool | None = None
    cache_dir: str | None = None
    checks: str | None = None
    ocr: bool | None = None

    def settings(self) -> tuple[str, ...]:
        """The same as settings of stages. Places are spelled out, so that the run means the same
        from any folder; a stage that is not asked for is switched off."""
        if self.stage not in {BOTH, *STAGES}:
            raise UsageError(
                f"there is no stage {self.stage!r}",
                expected=f"one of {', '.join((*STAGES, BOTH))}",
                got=repr(self.stage),
            )
        source = place_of(self.source_bucket or SOURCE)
        is_folder = "://" not in source
        target = place_of(self.manifest_bucket or TARGET, is_folder=is_folder)
        output, cache = self.output_path, self.cache_dir
        told = {
            "extraction.enabled": None if self.stage in {BOTH, STAGES[0]} else False,
            "manifest.enabled": None if self.stage in {BOTH, STAGES[1]} else False,
            "extraction.source_bucket": source,
            "extraction.manifest_bucket": target,
            "manifest.manifest_bucket": target,
            "manifest.output_path": output and (output if "://" in output else absolute(output)),
            "manifest.prefix": self.prefix,
            "extraction.skip_existing": self.skip_existing,
            "extraction.compress": self.compress,
            "manifest.cache_dir": cache and absolute(cache),
            "manifest.checks": self.checks,
            "manifest.ocr": self.ocr,
        }
        return tuple(f"{name}={_typed(held)}" for name, held in told.items() if held is not None)


def _typed(value: object) -> str:
    return json.dumps(value)


def absolute(path: str) -> str:
    """A path as it is from any folder."""
    return str(Path(path).expanduser().absolute())


def place_of(name: str, *, is_folder: bool = False) -> str:
    """A bucket or a folder: an address as it is; a path, or the name of a folder that is there,
    as a path; any other name as a bucket's, unless it `is_folder`."""
    if "://" in name:
        return name
    is_path = "/" in name or name.startswith(("~", ".")) or Path(name).is_dir()
    return absolute(name) if is_path or is_folder else f"s3://{name}"


def task_list(options: GameplayOptions, given: Path | None, settings: Settings) -> Path:
    """The task list that is meant: the one that is named, else `task_list.txt`. To judge only,
    where neither is there, one is made of all that was extracted, and kept in the home.

    Raises NotFound, saying to extract first, where nothing was.
    """
    if given is not None or Path(TASK_LIST).is_file() or options.stage != STAGES[1]:
        return given or Path(TASK_LIST)
    source = place_of(options.source_bucket or SOURCE)
    target = place_of(options.manifest_bucket or TARGET, is_folder="://" not in source)
    keys = _extracted(open_store(settings, target), options.prefix or "")
    if not keys:
        raise NotFound(
            f"there are no .pt files in {target}",
            expected="sessions that were extracted"
            + (f", below {options.prefix}" * bool(options.prefix)),
            got="none",
            hint="Extract first: filmgate run gameplay --stage extraction --task-list FILE",
        )
    data = ("\n".join(keys) + "\n").encode()
    name = Path(target).name.removeprefix("s3:") or "all"
    place = settings.home.expanduser() / LISTS / sha256_hex(data)[:16] / f"{name}.txt"
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_suffix(".tmp")
        draft.write_bytes(data)
        draft.replace(place)
    return place


def _extracted(store: "ObjectStore", prefix: str) -> list[str]:
    """The keys of the `.pt` files that begin so."""
    below = prefix.rpartition("/")[0]
    keys = (each.key for page in store.pages(below) for each in page)
    return [key for key in keys if key.endswith(".pt") and key.startswith(prefix)]
