"""Options of single pipelines, declared here so that --help does not import the pipelines."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from filmgate.core.errors import UsageError
from filmgate.services.game_sessions import GameplayOptions, find_task_list
from filmgate.wiring import settings

ParsedFlags = tuple[Path | None, tuple[str, ...]]
"""The input, and stage settings as `STAGE.SETTING=VALUE`."""

Parser = Callable[[Path | None, Mapping[str, Any]], ParsedFlags]
"""Converts the input and options of a command line to an input and stage settings."""


@dataclass(frozen=True, kw_only=True)
class PipelineFlags:
    """The options of one pipeline."""

    source: Any
    """Annotation of the input: an argument or an option."""
    needs_source: bool = False
    flags: Mapping[str, Any]
    """Annotations of the other options, by parameter name."""
    parse: Parser
    missing: str = ""
    """Describes the input, for the error if it is missing; empty if there is a default input."""
    stage_names: str = ""
    """Names of the pipeline's stages, for the help of --resume-from."""


def _settings_by_name(names: Mapping[str, str], missing: str) -> Parser:
    """Return a parser of options that each set one stage setting; `names`: setting by parameter."""

    def parse(source: Path | None, given: Mapping[str, Any]) -> ParsedFlags:
        values = {name: value for name, value in given.items() if value is not None}
        if source is not None and re.match(r"[a-z][a-z0-9+.-]+:/", str(source)):
            raise UsageError(
                "a link cannot be an input",
                expected=missing,
                got=str(source).replace(":/", "://", 1),
                hint="Links are not fetched: download the files first",
            )
        settings = tuple(f"{names[name]}={str(value).lower()}" for name, value in values.items())
        return source, settings

    return parse


def _parse_gameplay(source: Path | None, given: Mapping[str, Any]) -> ParsedFlags:
    """Parse the options of the gameplay pipeline; its default input depends on the stages."""
    known = {field.name for field in fields(GameplayOptions)}
    values = {name: value for name, value in given.items() if value is not None}
    options = GameplayOptions(**{name: values[name] for name in values if name in known})
    return find_task_list(options, source, settings.load()), options.settings()


class GameStage(StrEnum):
    """Stages of the gameplay pipeline to run."""

    EXTRACTION = "extraction"
    MANIFEST = "manifest"
    BOTH = "both"


ANY = PipelineFlags(
    source=Annotated[
        Path, typer.Argument(metavar="INPUT", help="The input file.", show_default=False)
    ],
    needs_source=True,
    flags={},
    parse=_settings_by_name({}, "a file on this machine"),
)
"""Options of a pipeline without additional options."""

PIPELINE_FLAGS = {
    "rulebook": PipelineFlags(
        source=Annotated[
            Path | None,
            typer.Option(
                "--uploads",
                metavar="DIR",
                help="Folder of books, or one book. Not needed to resume a run.",
            ),
        ],
        flags={
            "ocr": Annotated[
                bool | None, typer.Option("--ocr", help="Read scanned pages with OCR.")
            ],
            "parser": Annotated[
                str | None,
                typer.Option(
                    metavar="NAME",
                    help="Parser that splits books into chunks: native (default) or unstructured.",
                ),
            ],
            "enricher": Annotated[
                str | None,
                typer.Option(
                    metavar="NAME",
                    help="Enricher that finds entities in chunks: native (default) or haystack.",
                ),
            ],
            "embeddings": Annotated[
                bool | None,
                typer.Option(
                    "--embeddings", help="Compute embeddings, for `filmgate ask --vectors`."
                ),
            ],
            "graph": Annotated[
                str | None,
                typer.Option(
                    metavar="NAME", help="Builder of the graph: native (default) or llamaindex."
                ),
            ],
        },
        parse=_settings_by_name(
            {
                "ocr": "A.ocr",
                "parser": "C.parser",
                "enricher": "D.enricher",
                "embeddings": "D.embeddings",
                "graph": "E.graph",
            },
            "a folder of books, or one book, on this machine",
        ),
        missing="--uploads DIR: a folder of books, or one book",
        stage_names=" (pass A, B, C, D, E or F)",
    ),
    "gameplay": PipelineFlags(
        source=Annotated[
            Path | None,
            typer.Option(
                "--task-list",
                metavar="FILE",
                help="File of archive keys, one per line. Default: task_list.txt. If that "
                "does not exist, --stage manifest uses all extracted sessions.",
            ),
        ],
        flags={
            "stage": Annotated[
                GameStage | None, typer.Option(help="Stages to run. Default: both.")
            ],
            "source_bucket": Annotated[
                str | None,
                typer.Option(
                    metavar="BUCKET", help="Bucket or folder of archives. Default: game-data."
                ),
            ],
            "manifest_bucket": Annotated[
                str | None,
                typer.Option(
                    metavar="BUCKET",
                    help="Bucket or folder of .pt files. Default: game-data-manifest.",
                ),
            ],
            "output_path": Annotated[
                str | None,
                typer.Option(metavar="PATH", help="Also write the Parquet manifest to this path."),
            ],
            "prefix": Annotated[
                str | None,
                typer.Option(metavar="PREFIX", help="Check only .pt files with this key prefix."),
            ],
            "skip_existing": Annotated[
                bool | None,
                typer.Option(
                    "--skip-existing/--no-skip-existing",
                    help="Skip archives that were extracted before. Default: skip.",
                ),
            ],
            "compress": Annotated[
                bool | None,
                typer.Option(
                    "--compress",
                    help="Compress .pt files. Compressed ones cannot be loaded with mmap=True.",
                ),
            ],
            "cache_dir": Annotated[
                str | None,
                typer.Option(metavar="DIR", help="Folder that caches fetched .pt files."),
            ],
            "checks": Annotated[
                str | None,
                typer.Option(
                    metavar="NAMES", help="Checks to run: v1, v2 (default), or names such as a,b."
                ),
            ],
            "ocr": Annotated[
                bool | None, typer.Option("--ocr", help="Read on-screen text to detect menus.")
            ],
        },
        parse=_parse_gameplay,
        stage_names=" (extraction or manifest)",
    ),
}


def flags_of(pipeline: str) -> PipelineFlags:
    """Return the options of a pipeline."""
    return PIPELINE_FLAGS.get(pipeline, ANY)
