"""The gatekeeper: collects the facts on which gates, staleness and reuse are decided."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filmgate.core.digest import digest_of
from filmgate.core.gates import (
    FileFacts,
    Footing,
    Verdict,
    check_files,
    check_footings,
    input_changed,
)
from filmgate.core.manifest import Ledger
from filmgate.core.plan import Plan, Stage
from filmgate.core.ports import RunDirectory
from filmgate.core.records import ArtifactRef, Fingerprint, StageRecord
from filmgate.core.states import StageState
from filmgate.engine.tool_versions import tool_versions


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The asset and its side-cars, as they are now."""

    files: Mapping[str, Path]
    """By name; the asset first."""
    digests: Mapping[str, str]
    """`sha256:…` by name."""


@dataclass
class Gatekeeper:
    """Asks gates within one invocation; every file is read once, and again after it is made."""

    plan: Plan
    run: RunDirectory
    inputs: Inputs
    _found: dict[str, FileFacts | None] = field(default_factory=dict)

    def ask(self, stage: Stage, ledger: Ledger, *, protect_own: bool) -> Verdict:
        """Every reason against running `stage` now.

        `protect_own`: whether the stage's own committed files, missing or altered, are a
        reason too. They may be somebody's handiwork; only repair and force write over them.
        """
        expected = ledger.head.source_sha_map
        reasons = [
            input_changed(stage.name, name, digest, self.inputs.digests.get(name, "no file"))
            for name, digest in expected.items()
            if self.inputs.digests.get(name) != digest
        ]
        footings = [self._footing(name, ledger) for name in stage.stands_on]
        reasons += check_footings(stage.name, footings, self._facts(footings)).reasons
        if protect_own:
            own = self._footing(stage.name, ledger)
            reasons += check_files(own, self._facts([own]))
        return Verdict(stage=stage.name, reasons=tuple(reasons))

    def is_up_to_date(self, stage: Stage, ledger: Ledger, fingerprint: Fingerprint) -> bool:
        """Whether running `stage` again could only make what is there already."""
        record = ledger.current(stage.name)
        if record is None or record.fingerprint != fingerprint:
            return False
        if ledger.state(stage.name) is StageState.SKIPPED:
            return True
        own = self._footing(stage.name, ledger)
        return own.state is StageState.SUCCESS and not check_files(own, self._facts([own]))

    def fingerprint(self, stage: Stage, ledger: Ledger) -> Fingerprint:
        """What the stage's result depends on, as things stand."""
        return Fingerprint(
            stage=stage.name,
            version=stage.version,
            config=digest_of(ledger.head.config[stage.name]),
            sources=dict(self.inputs.digests),
            inputs={ref.path: ref.sha256 for ref in self.readable(stage, ledger)},
            tools=tool_versions(stage.tools, extra=self.plan.pipeline),
        )

    def readable(self, stage: Stage, ledger: Ledger) -> list[ArtifactRef]:
        """The files that the stage may read."""
        return [ref for record in standing(stage, ledger) for ref in record.artifacts]

    def forget(self, refs: Iterable[ArtifactRef]) -> None:
        """Read these files anew when they are next asked about."""
        for ref in refs:
            self._found.pop(ref.path, None)

    def _footing(self, name: str, ledger: Ledger) -> Footing:
        record = ledger.current(name)
        return Footing(
            stage=name,
            state=ledger.state(name),
            artifacts=record.artifacts if record else (),
            supported={made.path: made.schema_version for made in self.plan.named(name).makes},
        )

    def _facts(self, footings: Iterable[Footing]) -> Mapping[str, FileFacts | None]:
        for footing in footings:
            for ref in footing.artifacts:
                if ref.path not in self._found:
                    self._found[ref.path] = self.run.facts(ref.path)
        return self._found


def standing(stage: Stage, ledger: Ledger) -> Iterator[StageRecord]:
    """The records of the successful stages that `stage` stands on."""
    for name in stage.stands_on:
        record = ledger.current(name)
        if record is not None and ledger.state(name) is StageState.SUCCESS:
            yield record
