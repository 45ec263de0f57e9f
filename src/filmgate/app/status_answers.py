"""How a run stands, as an answer: from the fold of its records, and nothing else."""

from datetime import datetime

from filmgate.app.run_status import RunStatus
from filmgate.core.answers import DataSource
from filmgate.core.jobs import JobAnswer
from filmgate.core.legacy import LegacyRun
from filmgate.core.manifest import Manifest
from filmgate.core.runs import RunEntry, StageStatus, StatusAnswer

STOPPED = frozenset({"interrupted", "abandoned"})
"""Codes of stages that nothing is wrong with but that they were stopped."""

GO_ON = "It was stopped, and can go on: run it again under its run_id"

EPISODE = "episode"
"""What runs of older layouts were of."""


def status_answer(stands: RunStatus, job: JobAnswer | None) -> StatusAnswer:
    """How a run stands, stage by stage, with every reason why a gate is closed."""
    manifest = stands.manifest
    stages = {}
    actions: list[str] = []
    for name, entry in manifest.stages.items():
        progress = stands.progress.get(name, {})
        actions += entry.blocked.suggested_actions if entry.blocked else ()
        if entry.error is not None and entry.error.code in STOPPED and not stands.is_at_work:
            actions.append(GO_ON)
        stages[name] = StageStatus(
            status=entry.status.value,
            attempt=entry.attempt,
            started=entry.started,
            ended=entry.ended,
            duration_s=entry.duration_s,
            counts=entry.counts,
            warnings=entry.warnings,
            item_errors=entry.item_errors,
            error=entry.error,
            reason=entry.reason,
            blocked=entry.blocked,
            is_derived=entry.is_derived,
            derived_from=entry.derived_from,
            done=progress.get("done"),
            total=progress.get("total"),
        )
    if stands.has_died:
        actions.append(GO_ON)
    return StatusAnswer(
        asset_id=manifest.asset.id,
        run_id=manifest.run_id,
        pipeline=manifest.pipeline,
        status=manifest.status.value,
        profile=manifest.profile,
        revision=manifest.revision,
        stages=stages,
        suggested_actions=tuple(dict.fromkeys(actions)),
        is_at_work=stands.is_at_work,
        is_suspect=stands.is_suspect,
        has_died=stands.has_died,
        silence_s=stands.silence_s if stands.is_at_work else None,
        sealed_to=stands.seal.to if stands.seal else None,
        metrics=manifest.metrics,
        is_derived=True,
        derived_from="commits/, and the lease",
        data_source=DataSource.ARTIFACT,
        job=job,
    )


def legacy_status(run: LegacyRun) -> StatusAnswer:
    """What an older layout says of a run; hearsay, labelled so."""
    return StatusAnswer(
        asset_id=run.asset_id,
        run_id=run.run_id,
        pipeline=EPISODE,
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
    """A run in a list."""
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
    """A run of an older layout in a list."""
    moments: list[datetime] = [
        moment
        for stage in run.stages.values()
        for moment in (stage.started, stage.ended)
        if moment is not None
    ]
    return RunEntry(
        asset_id=run.asset_id,
        run_id=run.run_id,
        pipeline=EPISODE,
        status=run.status.value,
        profile=None,
        created_at=min(moments, default=None, key=str),
        updated_at=max(moments, default=None, key=str),
        data_source=DataSource.LEGACY,
    )
