"""The gatekeeper: collects the facts on which gates, staleness and reuse are decided."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from filmgate.core.digest import digest_of
from filmgate.core.gates import (
    Examination,
    FileFacts,
    Footing,
    Reason,
    ReasonCode,
    Verdict,
    check_files,
    check_footings,
    check_inputs,
    check_lineage,
    check_run,
    check_strangers,
    check_unrecorded,
)
from filmgate.core.manifest import Ledger
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Plan, Stage
from filmgate.core.ports import RunDirectory
from filmgate.core.records import ArtifactRef, Fingerprint, StageRecord
from filmgate.core.resources import Resources
from filmgate.core.states import StageState
from filmgate.engine.inputs import Inputs
from filmgate.engine.tool_versions import tool_versions, versions_there
from filmgate.engine.validation import examine


@dataclass(frozen=True)
class Gatekeeper:
    """Asks gates within one invocation."""

    plan: Plan
    run: RunDirectory
    inputs: Inputs
    registry: Registry
    resources: Resources = field(default_factory=dict)

    def ask(self, stage: Stage, ledger: Ledger, *, protect_own: bool) -> Verdict:
        """Every reason against running `stage` now.

        Held against the records are the input, the files of all that the stage stands on, near
        or far, and, with `protect_own`, the stage's own committed files: missing or altered,
        they may be somebody's handiwork, and only repair, force and adopt write over them. A
        record that another stands on and that is gone closes every gate likewise, as do records
        of another run.
        """
        reasons = check_run(self.run.folder.name, ledger.head.run_id)
        reasons += check_inputs(ledger.head.source_sha_map, self.inputs.digests)
        near = [self._footing(name, ledger) for name in stage.needs]
        welcome = [self._footing(name, ledger) for name in stage.welcomes]
        near += [each for each in welcome if each.state is StageState.SUCCESS]
        found = self._facts(near)
        reasons += check_footings(stage.name, near, found, self._examine).reasons
        ancestors = self.plan.ancestors(stage.name)
        concerned = ancestors | {stage.name} if protect_own else ancestors
        if protect_own:
            reasons += self._lost_records(ledger)
            strangers = [p for p in ledger.unrecorded(stage.name) if self.run.facts(p)]
            reasons += check_unrecorded(stage.name, strangers)
        for name in self.plan.names:
            if name in concerned:
                reasons += check_strangers(ledger.intruders(name))
            if name in ancestors and name not in stage.stands_on:
                reasons += self._file_faults(name, ledger)
        if protect_own:
            reasons += self._own_faults(stage.name, ledger)
        return Verdict(stage=stage.name, reasons=tuple(reasons))

    def verify(self, stage: Stage, ledger: Ledger) -> Verdict:
        """Every reason against trusting a success that stands."""
        reasons = check_strangers(ledger.intruders(stage.name))
        reasons += self._file_faults(stage.name, ledger)
        return Verdict(stage=stage.name, reasons=tuple(reasons))

    def is_up_to_date(self, stage: Stage, ledger: Ledger, fingerprint: Fingerprint) -> bool:
        """Whether running `stage` again could only make what is there already.

        A stage that was skipped is always asked again: what it lacked may have come.
        """
        record = ledger.current(stage.name)
        if record is None or record.fingerprint != fingerprint:
            return False
        is_success = ledger.state(stage.name) is StageState.SUCCESS
        return is_success and self.is_sound(record, ledger) and self.has_whole_files(record)

    def is_sound(self, record: StageRecord, ledger: Ledger) -> bool:
        """Whether all records that it stood on are there, and none of another run in its place."""
        lost = check_lineage(record, ledger.digests)
        return not lost and not ledger.intruders(record.stage)

    def has_whole_files(self, record: StageRecord) -> bool:
        """Whether every file that it names is as it says."""
        own = Footing(stage=record.stage, state=record.status, artifacts=record.artifacts)
        return not check_files(own, self._facts([own]))

    def fingerprint(self, stage: Stage, ledger: Ledger) -> Fingerprint:
        """What the stage's result depends on, as things stand."""
        is_idle = self.is_idle(stage, ledger)
        there = [] if is_idle else [n for n in stage.consults if n in self.resources]
        return Fingerprint(
            stage=stage.name,
            version=stage.version,
            config=digest_of(ledger.head.config[stage.name]),
            sources=dict(self.inputs.digests),
            inputs={path: ref.sha256 for path, ref in self.readable(stage, ledger).items()},
            tools={} if is_idle else self._tools(stage),
            resources={name: self.resources[name].sha256 for name in there},
            records={
                name: record.told
                for name in stage.stands_on
                if stage.tells and (record := ledger.current(name)) is not None
            },
        )

    def _tools(self, stage: Stage) -> dict[str, str]:
        needed = tool_versions(stage.tools, packages=self.plan.packages)
        return needed | versions_there(stage.optional_tools)

    def is_idle(self, stage: Stage, ledger: Ledger) -> bool:
        """Whether the stage is switched off, or has nothing to stand on: it needs no tools."""
        is_off = not ledger.head.config[stage.name]["enabled"]
        return is_off or any(ledger.state(name) is StageState.SKIPPED for name in stage.requires)

    def altered(self, stage: Stage, ledger: Ledger) -> list[str]:
        """Paths of its own that somebody altered since it made them."""
        return [fault.path for fault in self._own_faults(stage.name, ledger) if fault.path]

    def readable(self, stage: Stage, ledger: Ledger) -> dict[str, ArtifactRef]:
        """The files that the stage may read, by path."""
        return {ref.path: ref for record in ledger.standing(stage.name) for ref in record.artifacts}

    def _lost_records(self, ledger: Ledger) -> list[Reason]:
        speaking = [record for name in self.plan.names if (record := ledger.current(name))]
        lost = [reason for record in speaking for reason in check_lineage(record, ledger.digests)]
        return list(dict.fromkeys(lost))

    def _own_faults(self, name: str, ledger: Ledger) -> list[Reason]:
        """Files of the stage's latest success that are not as it left them.

        Where the stage is due again anyway, only what somebody altered counts: a file that is
        gone is no handiwork.
        """
        record = ledger.last_success(name)
        if record is None or not ledger.is_named(record):
            return []
        own = Footing(stage=name, state=record.status, artifacts=record.artifacts)
        faults = check_files(own, self._facts([own]), self._examine)
        if ledger.state(name) is StageState.SUCCESS:
            return faults
        return [fault for fault in faults if fault.code is not ReasonCode.MISSING_ARTIFACT]

    def _file_faults(self, name: str, ledger: Ledger) -> list[Reason]:
        footing = self._footing(name, ledger)
        if footing.state is not StageState.SUCCESS:
            return []
        return check_files(footing, self._facts([footing]), self._examine)

    def _footing(self, name: str, ledger: Ledger) -> Footing:
        record = ledger.current(name)
        return Footing(
            stage=name,
            state=ledger.state(name),
            artifacts=record.artifacts if record else (),
            supported=self.plan.supported[name],
        )

    def _facts(self, footings: Iterable[Footing]) -> Mapping[str, FileFacts | None]:
        return {
            ref.path: self.run.facts(ref.path) for footing in footings for ref in footing.artifacts
        }

    def _examine(self, path: str) -> Examination | None:
        contract = self.plan.contracts.get(path)
        if contract is None:
            return None
        return examine(contract, self.run.path_of(path), self.registry)
