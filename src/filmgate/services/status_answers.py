"""Conversion of the status of runs to answers of the API."""

from datetime import datetime

from filmgate.core.answers import DataSource
from filmgate.core.jobs import JobAnswer
from filmgate.core.legacy import LegacyRun
from filmgate.core.manifest import Manifest
from filmgate.core.records import FailureCode
from filmgate.core.runs import RunEntry, StageStatus, StatusAnswer
from filmgate.core.states import RunState, StageState
from filmgate.services.run_status import RunStatus

STOPPED = frozenset({FailureCode.INTERRUPTED, FailureCode.ABANDONED})
"""Error codes of stages that were stopped from outside and did not fail themselves."""

RESUME_ACTION = "The run was stopped. To resume it, run it again under its run_id"

COMPLETE_ACTION = "Not run yet: {stages}. To complete the run, run it again under its run_id"


def status_answer(status: RunStatus, job: JobAnswer | None) -> StatusAnswer:
    """Convert the status of a run to an answer with all stages and the reasons of blocked gates."""
    manifest = status.manifest
    stages = {}
    actions: list[str] = []
    for name, entry in manifest.stages.items():
        progress = status.progress.get(name, {})
        actions += entry.blocked.suggested_actions if entry.blocked else ()
        if entry.error is not None and entry.error.code in STOPPED and not status.is_at_work:
            actions.append(RESUME_ACTION)
        shared = {field: value for field, value in entry if field in StageStatus.model_fields}
        stages[name] = StageStatus(**shared, done=progress.get("done"), total=progress.get("total"))
    if status.has_died:
        actions.append(RESUME_ACTION)
    is_incomplete = manifest.status is RunState.INCOMPLETE and (job is None or job.state.is_over)
    if is_incomplete and not actions:
        pending = [n for n, entry in manifest.stages.items() if entry.status is StageState.PENDING]
        actions.append(COMPLETE_ACTION.format(stages=", ".join(pending)))
    return StatusAnswer(
        asset_id=manifest.asset.id,
        run_id=manifest.run_id,
        pipeline=manifest.pipeline,
        status=manifest.status.value,
        profile=manifest.profile,
        revision=manifest.revision,
        stages=stages,
        suggested_actions=tuple(dict.fromkeys(actions)),
        is_at_work=status.is_at_work,
        is_suspect=status.is_suspect,
        has_died=status.has_died,
        silence_s=status.silence_s if status.is_at_work else None,
        sealed_to=status.seal.to if status.seal else None,
        metrics=manifest.metrics,
        is_derived=True,
        derived_from="commits/, and the lease",
        data_source=DataSource.ARTIFACT,
        job=job,
    )


def legacy_status(run: LegacyRun) -> StatusAnswer:
    """Convert a run of an older layout, which is not verified, to a status answer."""
    return StatusAnswer(
        asset_id=run.asset_id,
        run_id=run.run_id,
        pipeline=run.pipeline,
        status=run.status.value,
        profile=None,
        revision=None,
        stages={
            name: StageStatus(
                status=stage.status.value,
                attempt=0,
                started=stage.started,
                ended=stage.ended,
                reason=stage.error,
                is_derived=True,
                derived_from=stage.derived_from,
            )
            for name, stage in run.stages.items()
        },
        suggested_actions=(),
        is_at_work=False,
        is_suspect=False,
        has_died=False,
        silence_s=None,
        sealed_to=None,
        metrics={},
        is_derived=True,
        derived_from="an older layout; nothing of it was verified",
        data_source=DataSource.LEGACY,
        job=None,
    )


def run_entry(manifest: Manifest) -> RunEntry:
    """Convert a manifest to the entry of its run in a list of runs."""
    return RunEntry(
        asset_id=manifest.asset.id,
        run_id=manifest.run_id,
        pipeline=manifest.pipeline,
        status=manifest.status.value,
        profile=manifest.profile,
        created_at=manifest.created_at,
        updated_at=manifest.updated_at,
        data_source=DataSource.ARTIFACT,
    )


def legacy_entry(run: LegacyRun) -> RunEntry:
    """Convert a run of an older layout to an entry in a list of runs."""
    moments: list[datetime] = [
        moment
        for stage in run.stages.values()
        for moment in (stage.started, stage.ended)
        if moment is not None
    ]
    return RunEntry(
        asset_id=run.asset_id,
        run_id=run.run_id,
        pipeline=run.pipeline,
        status=run.status.value,
        profile=None,
        created_at=min(moments, default=None, key=str),
        updated_at=max(moments, default=None, key=str),
        data_source=DataSource.LEGACY,
    )
