"""The options of the gameplay pipeline, and the input of a run for which none was given."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

from filmgate.core.command import CommandLine
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import NotFound
from filmgate.core.objects import ObjectStore, check_prefix
from filmgate.core.pipeline import InputContext, Options

TASK_LIST = "task_list.txt"
SOURCE, TARGET = "game-data", "game-data-manifest"
"""Default buckets or folders of archives and of `.pt` files."""

LISTS = "task_lists"
"""Folder of generated task lists in the home."""


class GameStage(StrEnum):
    """Stages to run."""

    EXTRACTION = "extraction"
    MANIFEST = "manifest"
    BOTH = "both"


class GameplayOptions(Options):
    """What users choose most often, beside the task list.

    Paths are made absolute, so that a run does not depend on the current folder.
    """

    stage: Annotated[GameStage | None, Field(description="Stages to run. Default: both.")] = None
    source_bucket: Annotated[
        str | None,
        Field(description="Bucket or folder of archives. Default: game-data."),
        CommandLine(metavar="BUCKET"),
    ] = None
    manifest_bucket: Annotated[
        str | None,
        Field(description="Bucket or folder of .pt files. Default: game-data-manifest."),
        CommandLine(metavar="BUCKET"),
    ] = None
    output_path: Annotated[
        str | None,
        Field(description="Also write the Parquet manifest to this path."),
        CommandLine(metavar="PATH"),
    ] = None
    prefix: Annotated[
        Annotated[str, AfterValidator(check_prefix)] | None,
        Field(description="Check only .pt files with this key prefix."),
        CommandLine(metavar="PREFIX"),
    ] = None
    skip_existing: Annotated[
        bool | None,
        Field(description="Skip archives that were extracted before. Default: skip."),
        CommandLine(names=("--skip-existing/--no-skip-existing",)),
    ] = None
    compress: Annotated[
        bool | None,
        Field(description="Compress .pt files. Compressed ones cannot be loaded with mmap=True."),
    ] = None
    cache_dir: Annotated[
        str | None,
        Field(description="Folder that caches fetched .pt files."),
        CommandLine(metavar="DIR"),
    ] = None
    checks: Annotated[
        str | None,
        Field(description="Checks to run: v1, v2 (default), or names such as a,b."),
        CommandLine(metavar="NAMES"),
    ] = None
    ocr: Annotated[bool | None, Field(description="Read on-screen text to detect menus.")] = None

    @property
    def source(self) -> str:
        """Address of the archives."""
        return store_address(self.source_bucket or SOURCE)

    @property
    def target(self) -> str:
        """Address of the `.pt` files; a folder beside folders of archives by default."""
        is_folder = "://" not in self.source
        return store_address(self.manifest_bucket or TARGET, is_folder=is_folder)

    def stage_settings(self) -> dict[str, JsonValue]:
        """Return the stage settings by `STAGE.SETTING`. A stage that is not run is disabled."""
        output, cache = self.output_path, self.cache_dir
        values: dict[str, JsonValue] = {
            "extraction.enabled": False if self.stage is GameStage.MANIFEST else None,
            "manifest.enabled": False if self.stage is GameStage.EXTRACTION else None,
            "extraction.source_bucket": self.source,
            "extraction.manifest_bucket": self.target,
            "manifest.manifest_bucket": self.target,
            "manifest.output_path": output
            and (output if "://" in output else absolute_path(output)),
            "manifest.prefix": self.prefix,
            "extraction.skip_existing": self.skip_existing,
            "extraction.compress": self.compress,
            "manifest.cache_dir": cache and absolute_path(cache),
            "manifest.checks": self.checks,
            "manifest.ocr": self.ocr,
        }
        return {name: value for name, value in values.items() if value is not None}


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


def default_task_list(options: GameplayOptions, context: InputContext) -> Path:
    """Return the path of the task list of a run for which none was given: `task_list.txt`.

    If that does not exist and only stage `manifest` is selected, a list of all extracted sessions
    is written to the home. Raises NotFound if no sessions were extracted.
    """
    if Path(TASK_LIST).is_file() or options.stage is not GameStage.MANIFEST:
        return Path(TASK_LIST)
    target, prefix = options.target, options.prefix or ""
    keys = _pt_keys(context.open_store(target), prefix)
    if not keys:
        raise NotFound(
            f"extracted sessions (.pt files) are missing in {target}",
            expected="extracted sessions" + (f" below {prefix}" if prefix else ""),
            got="none",
            hint="Extract first: filmgate run gameplay --stage extraction --task-list FILE",
        )
    data = ("\n".join(keys) + "\n").encode()
    name = Path(target).name.removeprefix("s3:") or "all"
    path = context.home / LISTS / sha256_hex(data)[:16] / f"{name}.txt"
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
