"""Game sessions: turn command line options into the input and the stage settings of a run."""

import json
from dataclasses import dataclass
from pathlib import Path

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import NotFound, UsageError
from filmgate.core.objects import ObjectStore
from filmgate.wiring.settings import Settings
from filmgate.wiring.stores import open_store

BOTH = "both"
STAGES = ("extraction", "manifest")

TASK_LIST = "task_list.txt"
SOURCE, TARGET = "game-data", "game-data-manifest"
"""Default buckets or folders of archives and of `.pt` files."""

LISTS = "task_lists"
"""Folder of generated task lists in the home."""


@dataclass(frozen=True, kw_only=True)
class GameplayOptions:
    """Command line options of the gameplay pipeline; None means that an option was not given."""

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
        """Return the options as stage settings, `STAGE.SETTING=VALUE`.

        Paths are made absolute, so that the run does not depend on the current folder. A stage that
        is not selected is disabled. Raises UsageError for an unknown stage.
        """
        if self.stage not in {BOTH, *STAGES}:
            raise UsageError(
                f"stage {self.stage!r} is unknown",
                expected=f"one of {', '.join((*STAGES, BOTH))}",
                got=repr(self.stage),
            )
        source = store_address(self.source_bucket or SOURCE)
        is_folder = "://" not in source
        target = store_address(self.manifest_bucket or TARGET, is_folder=is_folder)
        output, cache = self.output_path, self.cache_dir
        values = {
            "extraction.enabled": None if self.stage in {BOTH, STAGES[0]} else False,
            "manifest.enabled": None if self.stage in {BOTH, STAGES[1]} else False,
            "extraction.source_bucket": source,
            "extraction.manifest_bucket": target,
            "manifest.manifest_bucket": target,
            "manifest.output_path": output
            and (output if "://" in output else absolute_path(output)),
            "manifest.prefix": self.prefix,
            "extraction.skip_existing": self.skip_existing,
            "extraction.compress": self.compress,
            "manifest.cache_dir": cache and absolute_path(cache),
            "manifest.checks": self.checks,
            "manifest.ocr": self.ocr,
        }
        return tuple(
            f"{name}={json.dumps(value)}" for name, value in values.items() if value is not None
        )


def absolute_path(path: str) -> str:
    """Return a path with `~` expanded, made absolute."""
    return str(Path(path).expanduser().absolute())


def store_address(name: str, *, is_folder: bool = False) -> str:
    """Return the address of an object store.

    An address with `://` is returned unchanged. A path, or the name of an existing folder, becomes
    an absolute path. Any other name is a bucket, or a folder if `is_folder`.
    """
    if "://" in name:
        return name
    is_path = "/" in name or name.startswith(("~", ".")) or Path(name).is_dir()
    return absolute_path(name) if is_path or is_folder else f"s3://{name}"


def find_task_list(options: GameplayOptions, given: Path | None, settings: Settings) -> Path:
    """Return the path of the task list: `given`, else `task_list.txt`.

    If neither exists and only stage `manifest` is selected, a list of all extracted sessions is
    written to the home. Raises NotFound if no sessions were extracted.
    """
    if given is not None or Path(TASK_LIST).is_file() or options.stage != STAGES[1]:
        return given or Path(TASK_LIST)
    source = store_address(options.source_bucket or SOURCE)
    target = store_address(options.manifest_bucket or TARGET, is_folder="://" not in source)
    keys = _pt_keys(open_store(settings, target), options.prefix or "")
    if not keys:
        raise NotFound(
            f"extracted sessions (.pt files) are missing in {target}",
            expected="extracted sessions" + (f" below {options.prefix}" * bool(options.prefix)),
            got="none",
            hint="Extract first: filmgate run gameplay --stage extraction --task-list FILE",
        )
    data = ("\n".join(keys) + "\n").encode()
    name = Path(target).name.removeprefix("s3:") or "all"
    path = settings.home.expanduser() / LISTS / sha256_hex(data)[:16] / f"{name}.txt"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_bytes(data)
        draft.replace(path)
    return path


def _pt_keys(store: ObjectStore, prefix: str) -> list[str]:
    """Return the keys of all `.pt` files with a prefix."""
    below = prefix.rpartition("/")[0]
    keys = (each.key for page in store.pages(below) for each in page)
    return [key for key in keys if key.endswith(".pt") and key.startswith(prefix)]
