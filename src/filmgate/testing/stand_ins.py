"""Stages that make the files which a test gives to the stage under test."""

from collections.abc import Iterable, Mapping
from typing import cast

from pydantic import BaseModel

from filmgate.core.errors import Invalid, UsageError
from filmgate.core.files import FileContract, FileKind
from filmgate.core.plan import Done, Outcome, Producer, Settings, Skipped, Stage
from filmgate.core.plan import stage as declare_stage
from filmgate.core.ports import StageContext, Timed
from filmgate.core.states import StageState
from filmgate.testing.result import RunResult

Contents = BaseModel | Iterable[BaseModel] | Iterable[Timed] | bytes
"""Contents of a file: a document, records, artifacts, or the bytes of a table or binary file."""

STAND_IN = Producer(name="filmgate.testing", version="1")
"""Producer of the files that a test gives to a stage."""


def make_stand_ins(
    stage: Stage, files: Mapping[FileContract, Contents], skipped: frozenset[str]
) -> list[Stage]:
    """Make the stages that `stage` depends on: the first that is not skipped makes the files."""
    names = tuple(dict.fromkeys(stage.depends_on))
    if unknown := skipped - set(names):
        raise UsageError(
            f"stage {stage.name} does not depend on {', '.join(sorted(unknown))}",
            expected=", ".join(names) or "no skipped stage",
        )
    makers = [name for name in names if name not in skipped]
    if files and not makers:
        raise Invalid(
            f"stage {stage.name} cannot read files",
            expected="a stage in `requires`, `uses` or `uses_if_run` that is not skipped",
            got=", ".join(contract.path for contract in files),
        )
    return [
        _stand_in(name, files if name in makers[:1] else {}, is_skipped=name in skipped)
        for name in names
    ]


def _stand_in(name: str, files: Mapping[FileContract, Contents], *, is_skipped: bool) -> Stage:
    """Make a stage that writes given files under their contracts."""

    def work(context: StageContext, _settings: Settings) -> Outcome:
        if is_skipped:
            return Skipped("skipped by the test")
        for contract, contents in files.items():
            _write(context, contract, contents)
        return Done(producer=STAND_IN)

    return declare_stage(name=name, makes=files)(work)


def _write(context: StageContext, contract: FileContract, contents: Contents) -> None:
    """Write a file with the method for its kind; raise Invalid if the contents do not fit it."""
    match contract.kind:
        case FileKind.JSON if isinstance(contents, BaseModel):
            context.write_document(contract, contents)
        case FileKind.RECORDS if not isinstance(contents, bytes | BaseModel):
            context.write_records(contract, cast("Iterable[BaseModel]", contents))
        case FileKind.ARTIFACTS if not isinstance(contents, bytes | BaseModel):
            context.write_artifacts(contract, cast("Iterable[Timed]", contents))
        case FileKind.PARQUET | FileKind.BINARY if isinstance(contents, bytes):
            with context.create(contract) as file:
                file.write(contents)
        case _:
            raise Invalid(
                f"the contents of {contract.path} have the wrong type",
                expected=EXPECTED_CONTENTS[contract.kind],
                got=type(contents).__name__,
            )


EXPECTED_CONTENTS = {
    FileKind.JSON: "a model",
    FileKind.RECORDS: "an iterable of models",
    FileKind.ARTIFACTS: "an iterable of Timed",
    FileKind.PARQUET: "bytes",
    FileKind.BINARY: "bytes",
}
"""Type of the contents that a test gives, by kind of the file."""


def check_stand_ins(result: RunResult, stage: Stage) -> None:
    """Raise Invalid if the given files break their contracts."""
    for name in stage.depends_on:
        entry = result.manifest.stages[name]
        if entry.status is StageState.FAILED and entry.error is not None:
            raise Invalid(
                f"the files for stage {stage.name} are invalid", got=entry.error.message
            ) from result.exceptions.get(name)
