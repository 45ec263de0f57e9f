"""Results of runs in memory: their files, parsed by their contracts, and how they ended."""

from collections.abc import Mapping
from dataclasses import dataclass

from filmgate.core.envelope import ArtifactLine
from filmgate.core.errors import NotFound
from filmgate.core.files import FileContract
from filmgate.core.gates import Reason
from filmgate.core.manifest import Manifest
from filmgate.core.plan import Outcome
from filmgate.core.ports import Document
from filmgate.core.records import ItemError, StageError, StageRecord
from filmgate.core.states import StageState
from filmgate.testing.run_directory import MemoryRun


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """A run of a plan in memory: its manifest, and the files of its successful stages."""

    run: MemoryRun
    manifest: Manifest
    exceptions: Mapping[str, Exception]
    """The exception that each stage raised in this run, by stage, with its traceback."""

    def has(self, contract: FileContract) -> bool:
        """Whether a successful stage of the run made the file."""
        return any(ref.path == contract.path for _, _, ref in self.manifest.artifact_refs)

    def read_bytes(self, contract: FileContract) -> bytes:
        """Read a file that a successful stage made.

        Otherwise, raises NotFound with the reason, whose cause is the exception of the stage.
        """
        if not self.has(contract):
            stage = self._maker(contract)
            raise NotFound(
                f"{contract.path} was not made",
                expected="a file of a successful stage",
                got=self._describe(stage) if stage else "no stage that makes it",
            ) from self.exceptions.get(stage or "")
        with self.run.open(contract.path) as file:
            return file.read()

    def read_document(self, contract: FileContract, model: type[Document]) -> Document:
        """Read a document; raises as `read_bytes` does."""
        return model.model_validate_json(self.read_bytes(contract))

    def read_records(self, contract: FileContract, model: type[Document]) -> list[Document]:
        """Read the records of a file, in file order; raises as `read_bytes` does."""
        lines = self.read_bytes(contract).splitlines()
        return [model.model_validate_json(line) for line in lines]

    def read_artifacts(self, contract: FileContract) -> list[ArtifactLine]:
        """Read the artifacts of a file, in file order; raises as `read_bytes` does."""
        return self.read_records(contract, ArtifactLine)

    def _maker(self, contract: FileContract) -> str | None:
        makes = self.run.head.makes
        return next((stage for stage, paths in makes.items() if contract.path in paths), None)

    def _describe(self, stage: str) -> str:
        """Describe the state of a stage, and its reason if it did not succeed."""
        entry = self.manifest.stages[stage]
        reasons = entry.blocked.reasons if entry.blocked else ()
        causes = [entry.error.message if entry.error else entry.reason, *map(str, reasons)]
        text = "; ".join(cause for cause in causes if cause)
        return f"stage {stage} {entry.status}{f': {text}' if text else ''}"


@dataclass(frozen=True, kw_only=True)
class StageResult(RunResult):
    """The result of one stage that ran in memory."""

    stage: str
    outcome: Outcome | None
    """What the stage's function returned; None if it raised an exception or was not called."""

    @property
    def status(self) -> StageState:
        """State of the stage: SUCCESS, SKIPPED, FAILED, or BLOCKED by its gate."""
        return self.manifest.stages[self.stage].status

    @property
    def record(self) -> StageRecord | None:
        """The record of the attempt; None if the gate blocked the stage."""
        return self.run.ledger().current_record(self.stage)

    @property
    def error(self) -> StageError | None:
        """Why the stage failed; None if it did not."""
        return self.record.error if self.record else None

    @property
    def exception(self) -> Exception | None:
        """The exception that the stage's function raised; None if it raised none."""
        return self.exceptions.get(self.stage)

    @property
    def blocked_by(self) -> tuple[Reason, ...]:
        """Why the gate blocked the stage; empty if it did not."""
        blocked = self.manifest.stages[self.stage].blocked
        return blocked.reasons if blocked else ()

    @property
    def skip_reason(self) -> str | None:
        """Why the stage was skipped; None if it was not."""
        return self.record.reason if self.record else None

    @property
    def counts(self) -> Mapping[str, int]:
        """Counts of the stage, with those of the engine."""
        return self.record.counts if self.record else {}

    @property
    def metrics(self) -> Mapping[str, object]:
        """Metrics that the stage returned."""
        return self.record.metrics if self.record else {}

    @property
    def warnings(self) -> tuple[dict[str, object], ...]:
        """Warnings of the stage: `code`, `message` and further fields."""
        return self.record.warnings if self.record else ()

    @property
    def item_errors(self) -> tuple[ItemError, ...]:
        """Errors of the items that failed in `map`."""
        return self.record.item_errors if self.record else ()
