"""Gates: decide from records and file facts whether a stage may start.

A gate is open when no rule is broken; otherwise the verdict lists every reason at once. The rules:

1. The run's folder is named after the run id in `run.json`: `run_id_mismatch`.
2. Every input has the digest that was frozen when the run was started; none is missing and
   none was added: `input_changed`.
3. Every stage that the stage requires or uses is SUCCESS or SKIPPED: `upstream_failed`,
   `upstream_not_success`. Stages in `uses_if_run` count only if they are SUCCESS.
4. Every file of every successful stage that the stage depends on, directly or indirectly,
   exists with the recorded digest: `missing_artifact`, `digest_mismatch`. This includes files
   of stages that were not selected. A file with another digest is also read, to report broken
   contents: `schema_invalid`, `count_mismatch`.
5. Every such file has the schema version that the plan reads: `schema_version_unsupported`.
6. No record of these stages is torn, altered or of another run, unless a later attempt of the
   stage has a valid record: `digest_mismatch`, `run_id_mismatch`.
7. The stage's own outputs may contain manual edits. Unless `--repair`, `--force` or `adopt` is
   given, rules 4 and 6 also apply to the stage itself. In addition, every file at one of its
   output paths has a record, and every record that the run's current records depend on exists:
   `missing_artifact`.
8. A stage selected by name is enabled, and its input and provider are available:
   `stage_disabled`, `provider_unavailable`.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from filmgate.core.records import ArtifactRef, Record, StageRecord
from filmgate.core.states import StageState


class ReasonCode(StrEnum):
    """Why a gate is closed."""

    MISSING_ARTIFACT = "missing_artifact"
    DIGEST_MISMATCH = "digest_mismatch"
    SCHEMA_INVALID = "schema_invalid"
    COUNT_MISMATCH = "count_mismatch"
    SCHEMA_VERSION_UNSUPPORTED = "schema_version_unsupported"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_NOT_SUCCESS = "upstream_not_success"
    RUN_ID_MISMATCH = "run_id_mismatch"
    INPUT_CHANGED = "input_changed"
    STAGE_DISABLED = "stage_disabled"
    PROVIDER_UNAVAILABLE = "provider_unavailable"


class Reason(Record):
    """One fault that closes a gate, with the expected and actual value and what to do."""

    code: ReasonCode
    stage: str
    """Stage whose state or file is at fault; `run` for a fault of the run as a whole."""
    path: str | None = None
    expected: str
    got: str
    action: str

    def __str__(self) -> str:
        """Format the reason as one line for people."""
        subject = self.path or f"stage {self.stage}"
        return f"{self.code}: {subject}: expected {self.expected}; got {self.got}. {self.action}"


class Verdict(Record):
    """The result of checking the gate of one stage: open if `reasons` is empty."""

    stage: str
    reasons: tuple[Reason, ...]

    @property
    def is_open(self) -> bool:
        """Whether the stage may start."""
        return not self.reasons

    @property
    def suggested_actions(self) -> tuple[str, ...]:
        """Actions of the reasons, each once, in the order of the reasons."""
        return tuple(dict.fromkeys(reason.action for reason in self.reasons))


class FileFacts(NamedTuple):
    """Size and SHA-256 (hex) of a file on disk."""

    size_bytes: int
    sha256: str


class Examination(NamedTuple):
    """The result of checking the contents of a file against its contract."""

    records: int | None
    """Number of records; None if the file could not be read to its end."""
    fault: str | None = None
    """First breach of the contract; None if there is none."""


Examine = Callable[[str], Examination | None]
"""Function that checks the file at a path against its contract; it returns None if the contract is
unknown. It is called only for files whose digest does not match."""


def skip_examination(path: str) -> None:
    """Return None for every path: an `Examine` function for callers without contracts."""


class UpstreamState(NamedTuple):
    """The current state of a stage that another stage depends on."""

    stage: str
    state: StageState
    artifacts: tuple[ArtifactRef, ...] = ()
    """Files named by the stage's successful record."""
    supported: Mapping[str, int] | None = None
    """Schema version that the plan reads, by path."""


def check_upstreams(
    stage: str,
    upstreams: Iterable[UpstreamState],
    found: Mapping[str, FileFacts | None],
    examine: Examine = skip_examination,
) -> Verdict:
    """Check the states and files of the stages that `stage` depends on (rules 3 to 5).

    `found`: facts of the files on disk now, by path; None if absent.
    """
    reasons: list[Reason] = []
    for upstream in upstreams:
        if upstream.state is StageState.SUCCESS:
            reasons += check_files(upstream, found, examine)
        elif upstream.state is StageState.FAILED:
            reasons.append(_upstream_reason(ReasonCode.UPSTREAM_FAILED, upstream))
        elif upstream.state is not StageState.SKIPPED:
            reasons.append(_upstream_reason(ReasonCode.UPSTREAM_NOT_SUCCESS, upstream))
    return Verdict(stage=stage, reasons=tuple(reasons))


def check_files(
    upstream: UpstreamState,
    found: Mapping[str, FileFacts | None],
    examine: Examine = skip_examination,
) -> list[Reason]:
    """Return every fault of a successful stage's files (rules 4 and 5)."""
    reasons: list[Reason] = []
    stage = upstream.stage
    for ref in upstream.artifacts:
        facts = found.get(ref.path)
        recorded = f"{ref.size_bytes} bytes, sha256 {ref.sha256}"
        if facts is None:
            code, expected = ReasonCode.MISSING_ARTIFACT, f"a file of {recorded}"
            reasons.append(_file_reason(code, stage, ref, expected=expected, got="no file"))
        elif facts.sha256 != ref.sha256:
            code, got = (
                ReasonCode.DIGEST_MISMATCH,
                f"{facts.size_bytes} bytes, sha256 {facts.sha256}",
            )
            reasons.append(_file_reason(code, stage, ref, expected=recorded, got=got))
            reasons += _content_faults(stage, ref, examine(ref.path))
        else:
            reasons += _unsupported_version(upstream, ref)
    return reasons


RUN = "run"
"""Value of `Reason.stage` for a fault of the run as a whole."""


def check_inputs(frozen: Mapping[str, str], now: Mapping[str, str]) -> list[Reason]:
    """Return every input that changed, is missing or was added since the run started (rule 2)."""
    return [
        Reason(
            code=ReasonCode.INPUT_CHANGED,
            stage=RUN,
            path=name,
            expected=frozen.get(name, "no such file"),
            got=now.get(name, "no such file"),
            action="Restore the input, or start a run on the new one with --new",
        )
        for name in sorted({*frozen, *now})
        if frozen.get(name) != now.get(name)
    ]


def check_lineage(record: StageRecord, known: Container[str]) -> list[Reason]:
    """Return every missing record that `record` depends on (rule 7).

    `known`: digests of the records that exist.
    """
    return [
        Reason(
            code=ReasonCode.MISSING_ARTIFACT,
            stage=upstream.stage,
            path="commits/",
            expected=f"a record of {upstream.stage} with sha256 {upstream.record}",
            got="none",
            action="Restore the record, or run all stages that depend on it again with --repair",
        )
        for upstream in record.lineage
        if upstream.record not in known
    ]


def check_untracked(stage: str, paths: Iterable[str]) -> list[Reason]:
    """Return a reason for every file without a record at an output path of the stage (rule 7).

    `paths`: paths of those files. Either the record was lost, or Filmgate did not make the file.
    """
    return [
        Reason(
            code=ReasonCode.MISSING_ARTIFACT,
            stage=stage,
            path=path,
            expected=f"a record in commits/ that names {path}",
            got="a file without a record",
            action="Restore the record, move the file away, or overwrite it with --repair",
        )
        for path in paths
    ]


def check_run(expected: str, got: str) -> list[Reason]:
    """Return a reason if the name of the run's folder is not the id of the run (rule 1)."""
    if expected == got:
        return []
    return [
        Reason(
            code=ReasonCode.RUN_ID_MISMATCH,
            stage=RUN,
            path="run.json",
            expected=f"run {expected}, the name of the folder",
            got=f"run {got}",
            action="Rename the folder to the run's id, or start a new run with --new",
        )
    ]


class ForeignRecord(NamedTuple):
    """A file in `commits/` that is not an intact record of this run.

    It is torn, altered, or the record of another run.
    """

    stage: str
    attempt: int
    expected: str
    got: str
    is_of_another_run: bool

    @property
    def path(self) -> str:
        """Path of the file, relative to the run's folder."""
        return f"commits/{self.stage}.a{self.attempt}.json"


def check_foreign_records(foreign_records: Iterable[ForeignRecord]) -> list[Reason]:
    """Return a reason for every foreign record (rule 6)."""
    return [
        Reason(
            code=ReasonCode.RUN_ID_MISMATCH
            if foreign.is_of_another_run
            else ReasonCode.DIGEST_MISMATCH,
            stage=foreign.stage,
            path=foreign.path,
            expected=foreign.expected,
            got=foreign.got,
            action="Restore the record or move it away, or run the stage again with --repair",
        )
        for foreign in foreign_records
    ]


def stage_disabled(stage: str) -> Reason:
    """Make the reason for a stage selected by name that the run's config disables (rule 8)."""
    return Reason(
        code=ReasonCode.STAGE_DISABLED,
        stage=stage,
        expected="an enabled stage",
        got=f"{stage}.enabled = false in the run's config",
        action=f"Start a run with the stage enabled (--new), or leave {stage} out of --stages",
    )


def provider_unavailable(stage: str, reason: str) -> Reason:
    """Make the reason for a stage selected by name that lacks its input or provider (rule 8)."""
    return Reason(
        code=ReasonCode.PROVIDER_UNAVAILABLE,
        stage=stage,
        expected="input and a provider for the stage",
        got=reason,
        action=f"Provide what {stage} lacks, or leave it out of --stages",
    )


def _upstream_reason(code: ReasonCode, upstream: UpstreamState) -> Reason:
    return Reason(
        code=code,
        stage=upstream.stage,
        expected=StageState.SUCCESS,
        got=upstream.state,
        action=f"Run {upstream.stage} first: --resume-from {upstream.stage}",
    )


def _file_reason(
    code: ReasonCode, stage: str, ref: ArtifactRef, *, expected: str, got: str
) -> Reason:
    """Make the reason for a file that is not as the stage made it."""
    return Reason(
        code=code,
        stage=stage,
        path=ref.path,
        expected=expected,
        got=got,
        action="Restore the file, or make it again with --repair; "
        f"to keep a manual edit, run filmgate adopt {stage}",
    )


def _content_faults(stage: str, ref: ArtifactRef, found: Examination | None) -> Iterator[Reason]:
    """Yield the faults in the contents of a file whose digest does not match."""
    if found is not None and found.fault is not None:
        expected = f"{ref.schema_name} version {ref.schema_version}"
        code = ReasonCode.SCHEMA_INVALID
        yield _file_reason(code, stage, ref, expected=expected, got=found.fault)
    if found is not None and found.records is not None and found.records != ref.records:
        expected, got = f"{ref.records} records", f"{found.records} records"
        yield _file_reason(ReasonCode.COUNT_MISMATCH, stage, ref, expected=expected, got=got)


def _unsupported_version(upstream: UpstreamState, ref: ArtifactRef) -> list[Reason]:
    readable = (upstream.supported or {}).get(ref.path, ref.schema_version)
    if readable == ref.schema_version:
        return []
    return [
        Reason(
            code=ReasonCode.SCHEMA_VERSION_UNSUPPORTED,
            stage=upstream.stage,
            path=ref.path,
            expected=f"{ref.schema_name} version {readable}",
            got=f"version {ref.schema_version}",
            action=f"Run the stage again: --force --stages {upstream.stage}",
        )
    ]
