"""The options that one pipeline has and others have not. Pipelines are not loaded for --help."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

Told = tuple[Path | None, tuple[str, ...]]
"""The input, and settings of stages as `STAGE.SETTING=VALUE`."""


@dataclass(frozen=True, kw_only=True)
class Own:
    """A pipeline's own options."""

    source: Any
    """How its input is named."""
    needs_source: bool = False
    flags: Mapping[str, Any]
    """Annotation by name."""
    told: Callable[[Path | None, Mapping[str, Any]], Told]
    """What was typed, as an input and settings."""


def _settings_by_name(names: Mapping[str, str]) -> Callable[[Path | None, Mapping[str, Any]], Told]:
    """For options that are a setting each."""

    def told(source: Path | None, typed: Mapping[str, Any]) -> Told:
        there = {name: value for name, value in typed.items() if value is not None}
        return source, tuple(f"{names[name]}={str(held).lower()}" for name, held in there.items())

    return told


def of_sessions(source: Path | None, typed: Mapping[str, Any]) -> Told:
    """Those of game sessions, whose places and stages depend on each other."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.game_sessions import GameplayOptions, task_list

    known = {field.name for field in fields(GameplayOptions)}
    options = GameplayOptions(**{n: v for n, v in typed.items() if n in known and v is not None})
    return task_list(options, source, settings.load()), options.settings()


class GameStage(StrEnum):
    """Which of the two stages run."""

    EXTRACTION = "extraction"
    MANIFEST = "manifest"
    BOTH = "both"


ANY = Own(
    source=Annotated[Path, typer.Argument(help="The input.", show_default=False)],
    needs_source=True,
    flags={},
    told=lambda source, _typed: (source, ()),
)
"""A pipeline that has none."""

OWN = {
    "rulebook": Own(
        source=Annotated[
            Path | None,
            typer.Option(
                "--uploads", help="A folder of books, or one; a run that is named knows its own."
            ),
        ],
        flags={
            "ocr": Annotated[
                bool | None, typer.Option("--ocr", help="Read scanned pages off their pictures.")
            ],
            "parser": Annotated[str | None, typer.Option(help="native or unstructured.")],
            "enricher": Annotated[str | None, typer.Option(help="native or haystack.")],
            "embeddings": Annotated[
                bool | None, typer.Option("--embeddings", help="Make a vector of each chunk.")
            ],
            "graph": Annotated[str | None, typer.Option(help="native or llamaindex.")],
        },
        told=_settings_by_name(
            {
                "ocr": "A.ocr",
                "parser": "C.parser",
                "enricher": "D.enricher",
                "embeddings": "D.embeddings",
                "graph": "E.graph",
            }
        ),
    ),
    "gameplay": Own(
        source=Annotated[
            Path | None,
            typer.Option(
                "--task-list",
                help="Keys of archives, one a line; default task_list.txt. To judge only, all "
                "that was extracted.",
            ),
        ],
        flags={
            "stage": Annotated[
                GameStage | None, typer.Option(help="Extract, judge, or both (the default).")
            ],
            "source_bucket": Annotated[
                str | None, typer.Option(help="Of the archives: a bucket or a folder; game-data.")
            ],
            "manifest_bucket": Annotated[
                str | None, typer.Option(help="Of the .pt files; game-data-manifest.")
            ],
            "output_path": Annotated[
                str | None, typer.Option(help="Put the Parquet manifest there too.")
            ],
            "prefix": Annotated[
                str | None, typer.Option(help="Judge only .pt files whose keys begin so.")
            ],
            "skip_existing": Annotated[
                bool | None,
                typer.Option(
                    "--skip-existing/--no-skip-existing",
                    help="Leave what was extracted so already (the default), or do it again.",
                ),
            ],
            "compress": Annotated[
                bool | None,
                typer.Option("--compress", help="Make smaller .pt files, not for mmap=True."),
            ],
            "cache_dir": Annotated[
                str | None, typer.Option(help="Keep .pt files that are fetched, for next time.")
            ],
            "checks": Annotated[
                str | None, typer.Option(help="v1, v2 (the default), or names by comma.")
            ],
            "ocr": Annotated[
                bool | None, typer.Option("--ocr", help="Read text on the screen, too, for menus.")
            ],
        },
        told=of_sessions,
    ),
}


def own(pipeline: str) -> Own:
    """The options of a pipeline."""
    return OWN.get(pipeline, ANY)
