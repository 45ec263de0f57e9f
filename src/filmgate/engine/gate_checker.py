"""The gate checker: determines which gates are open, and which stages are up to date."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from filmgate.core.digest import digest_of
from filmgate.core.gates import (
    Examination,
    FileFacts,
    Reason,
    ReasonCode,
    UpstreamState,
    Verdict,
    check_files,
    check_foreign_records,
    check_inputs,
    check_lineage,
    check_run,
    check_untracked,
    check_upstreams,
)
from filmgate.core.manifest import Ledger
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Plan, Stage
from filmgate.core.ports import RunDirectory
from filmgate.core.records import Fingerprint, StageRecord
from filmgate.core.resources import Resources
from filmgate.core.states import StageState
from filmgate.engine.inputs import Inputs
from filmgate.engine.tool_versions import installed_versions, required_versions
from filmgate.engine.validation import examine


@dataclass(frozen=True)
class GateChecker:
    """Checks the gates of the stages within one invocation."""

    plan: Plan
    run: RunDirectory
    inputs: Inputs
    registry: Registry
    resources: Resources = field(default_factory=dict)

    def check(self, stage: Stage, ledger: Ledger, *, protect_own: bool) -> Verdict:
        """Return every reason against running `stage` now.

        This verifies the inputs, and the files and records of all stages that this one depends
        on, directly or indirectly. With `protect_own`, it also verifies the stage's own committed
        files and records: if a file is missing or altered, someone may have edited it by hand,
        and only repair, force and adopt may overwrite it. With `protect_own`, a missing record
        that another record depends on also closes the gate.
        """
        reasons = check_run(self.run.folder.name, ledger.head.run_id)
        reasons += check_inputs(ledger.head.source_sha_map, self.inputs.digests)
        direct = [self._upstream_state(name, ledger) for name in stage.needs]
        optional = [self._upstream_state(name, ledger) for name in stage.uses_if_run]
        direct += [upstream for upstream in optional if upstream.state is StageState.SUCCESS]
        found = self._file_facts(direct)
        reasons += check_upstreams(stage.name, direct, found, self._examine).reasons
        ancestors = self.plan.ancestors(stage.name)
        checked = ancestors | {stage.name} if protect_own else ancestors
        if protect_own:
            reasons += self._lost_records(ledger)
            untracked = [p for p in ledger.untracked_files(stage.name) if self.run.facts(p)]
            reasons += check_untracked(stage.name, untracked)
        for name in self.plan.names:
            if name in checked:
                reasons += check_foreign_records(ledger.foreign_records(name))
            if name in ancestors and name not in stage.depends_on:
                reasons += self._file_faults(name, ledger)
        if protect_own:
            reasons += self._own_faults(stage.name, ledger)
        return Verdict(stage=stage.name, reasons=tuple(reasons))

    def verify(self, stage: Stage, ledger: Ledger) -> Verdict:
        """Return every fault in the files and records of the stage's current success."""
        reasons = check_foreign_records(ledger.foreign_records(stage.name))
        reasons += self._file_faults(stage.name, ledger)
        return Verdict(stage=stage.name, reasons=tuple(reasons))

    def has_intact_files(self, record: StageRecord) -> bool:
        """Whether every file that `record` names exists with the recorded digest."""
        own = UpstreamState(stage=record.stage, state=record.status, artifacts=record.artifacts)
        return not check_files(own, self._file_facts([own]))

    def fingerprint(self, stage: Stage, ledger: Ledger, *, is_skipped: bool) -> Fingerprint:
        """Make the fingerprint of everything that the stage's result depends on now.

        A skipped stage needs neither tools nor resources. Raises Unavailable if a tool is missing.
        """
        names = () if is_skipped else stage.reads_resources
        return Fingerprint(
            stage=stage.name,
            version=stage.version,
            config=digest_of(ledger.head.config[stage.name]),
            sources=dict(self.inputs.digests),
            inputs={path: ref.sha256 for path, ref in ledger.readable_files(stage.name).items()},
            tools={} if is_skipped else self._tool_versions(stage),
            resources={n: self.resources[n].sha256 for n in names if n in self.resources},
            records={
                name: record.report_digest
                for name in stage.depends_on
                if stage.reads_upstream_records
                and (record := ledger.current_record(name)) is not None
            },
        )

    def _tool_versions(self, stage: Stage) -> dict[str, str]:
        required = required_versions(stage.tools, packages=self.plan.packages)
        return required | installed_versions(stage.optional_tools)

    def altered_files(self, stage: Stage, ledger: Ledger) -> list[str]:
        """Paths of the stage's own files that were altered since it made them."""
        return [fault.path for fault in self._own_faults(stage.name, ledger) if fault.path]

    def _lost_records(self, ledger: Ledger) -> list[Reason]:
        current = [record for name in self.plan.names if (record := ledger.current_record(name))]
        lost = [
            reason for record in current for reason in check_lineage(record, ledger.record_digests)
        ]
        return list(dict.fromkeys(lost))

    def _own_faults(self, name: str, ledger: Ledger) -> list[Reason]:
        """Faults of the files of the stage's latest success.

        If the stage is due again anyway, only altered files count: a missing file contains no
        manual edit to protect.
        """
        record = ledger.last_success(name)
        if record is None or not ledger.has_files_in_place(record):
            return []
        own = UpstreamState(stage=name, state=record.status, artifacts=record.artifacts)
        faults = check_files(own, self._file_facts([own]), self._examine)
        if ledger.state(name) is StageState.SUCCESS:
            return faults
        return [fault for fault in faults if fault.code is not ReasonCode.MISSING_ARTIFACT]

    def _file_faults(self, name: str, ledger: Ledger) -> list[Reason]:
        upstream = self._upstream_state(name, ledger)
        if upstream.state is not StageState.SUCCESS:
            return []
        return check_files(upstream, self._file_facts([upstream]), self._examine)

    def _upstream_state(self, name: str, ledger: Ledger) -> UpstreamState:
        record = ledger.current_record(name)
        return UpstreamState(
            stage=name,
            state=ledger.state(name),
            artifacts=record.artifacts if record else (),
            supported=self.plan.supported[name],
        )

    def _file_facts(self, upstreams: Iterable[UpstreamState]) -> Mapping[str, FileFacts | None]:
        return {
            ref.path: self.run.facts(ref.path)
            for upstream in upstreams
            for ref in upstream.artifacts
        }

    def _examine(self, path: str) -> Examination | None:
        contract = self.plan.contracts.get(path)
        if contract is None:
            return None
        return examine(contract, self.run.path_of(path), self.registry)
