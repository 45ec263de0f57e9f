"""Runs in the home: how they stand, what they say, what they report."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from filmgate.api.answering import answered
from filmgate.api.doorkeeper import secret_in
from filmgate.api.files import file_response
from filmgate.api.parameters import EpisodeId, RunId, Serving, Viewer, WhichRun, service_in
from filmgate.api.service import Service
from filmgate.app.clock import utc_now
from filmgate.app.reports import report_of
from filmgate.app.run_status import RunStatus
from filmgate.app.status_answers import legacy_entry, legacy_status, run_entry, status_answer
from filmgate.core.access import Caller
from filmgate.core.errors import FilmgateError, Invalid, NotFound, Unavailable
from filmgate.core.ids import AssetId, parse_run_id
from filmgate.core.manifest import Manifest
from filmgate.core.runs import LogsAnswer, RunsAnswer, StatusAnswer
from filmgate.store.event_log import EventReader, place_text
from filmgate.store.run_directory import FolderRun

router = APIRouter(prefix="/episodes", tags=["runs"])

LOG_BYTES = 256 * 1024
"""Of a stage's log in one answer."""

STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events. `log`: a line of the run's logs, as "
        "`/logs/{stage}` has it; `status` and `end`: the body of `/status`, without progress; "
        '`progress`: {"STAGE": {"done": 3, "total": 7}}',
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "There is nothing more: the run is over, and all of it was told"},
}
Place = Annotated[str | None, Query(max_length=2000, description="`next_cursor` of before.")]
LastEventId = Annotated[
    str | None, Header(max_length=2000, description="The id of the last event that was heard.")
]
StageName = Annotated[str, Path(max_length=128, description="A stage.", examples=["scenes"])]


@router.get("/{ep_id}/status", response_model=StatusAnswer)
def status(
    request: Request, service: Serving, ep_id: EpisodeId, run_id: WhichRun = None
) -> Response:
    """How a run stands, derived anew from its records: every stage, every reason why a gate is
    closed, what to do. Without a run, the asset's newest."""
    try:
        run = _run(service, ep_id, run_id)
    except NotFound:
        legacy = service.system.legacy_run(f"{ep_id}/{run_id}" if run_id else ep_id)
        if legacy is None:
            raise
        return answered(request, legacy_status(legacy))
    try:
        job = service.jobs.latest(run.head.asset.id, run.head.run_id)
    except Unavailable:
        job = None
    return answered(request, status_answer(RunStatus.of(run, utc_now()), job))


@router.get("/{ep_id}/runs", response_model=RunsAnswer)
def list_episode_runs(request: Request, service: Serving, ep_id: EpisodeId) -> Response:
    """The runs of an asset that lie here, oldest first."""
    entries, unreadable = [], []
    for run in service.system.runs_of(AssetId(ep_id)):
        try:
            entries.append(run_entry(run.refold(None)))
        except Invalid:
            unreadable.append(run.folder.name)
    legacy = [each for each in service.system.legacy_runs() if each.asset_id == ep_id]
    entries += map(legacy_entry, legacy)
    if not entries and not unreadable:
        raise NotFound(f"no run of {ep_id!r} lies here", expected="an asset that was run on here")
    return answered(
        request, RunsAnswer(asset_id=ep_id, runs=tuple(entries), unreadable=tuple(unreadable))
    )


@router.get("/{ep_id}/runs/{run_id}", response_model=Manifest)
def get_run(request: Request, service: Serving, ep_id: EpisodeId, run_id: RunId) -> Response:
    """A run's manifest, derived anew from its records."""
    return answered(request, _run(service, ep_id, run_id).refold(None))


@router.get(
    "/{ep_id}/runs/{run_id}/export",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}},
        206: {"description": "The range that was asked for"},
    },
)
def export(request: Request, service: Serving, ep_id: EpisodeId, run_id: RunId) -> Response:
    """The run's report, a PDF; only as the run made it."""
    report = report_of(_run(service, ep_id, run_id))
    return file_response(
        request,
        report.path,
        size=report.size_bytes,
        sha256=report.sha256,
        media_type=report.media_type,
        name=f"{ep_id}-{run_id}.pdf",
    )


@router.get("/{ep_id}/logs/{stage}", response_model=LogsAnswer)
def logs(
    request: Request,
    service: Serving,
    ep_id: EpisodeId,
    stage: StageName,
    run_id: WhichRun = None,
    cursor: Place = None,
) -> Response:
    """What a stage of a run told, oldest first. `next_cursor` is there also at the end: what comes
    later begins there."""
    return answered(request, _logs(_run(service, ep_id, run_id), stage, cursor))


@router.get("/{ep_id}/runs/{run_id}/logs/{stage}", response_model=LogsAnswer)
def logs_of_run(
    request: Request,
    service: Serving,
    ep_id: EpisodeId,
    run_id: RunId,
    stage: StageName,
    cursor: Place = None,
) -> Response:
    """The same of a run that the path names."""
    return answered(request, _logs(_run(service, ep_id, run_id), stage, cursor))


@router.get("/{ep_id}/events", response_class=Response, responses=STREAM)
async def events(
    request: Request,
    who: Viewer,
    ep_id: EpisodeId,
    run_id: WhichRun = None,
    last_event_id: LastEventId = None,
) -> Response:
    """A run as it goes: `log` for each line of its logs (with an id, to go on from with
    `Last-Event-ID`), `status` whenever it stands otherwise, `progress` while stages are at work,
    `end` when it is over. 204 for whoever comes back when all is told."""
    return await _events(request, who, ep_id, run_id, last_event_id)


@router.get("/{ep_id}/runs/{run_id}/events", response_class=Response, responses=STREAM)
async def events_of_run(
    request: Request,
    who: Viewer,
    ep_id: EpisodeId,
    run_id: RunId,
    last_event_id: LastEventId = None,
) -> Response:
    """The same of a run that the path names."""
    return await _events(request, who, ep_id, run_id, last_event_id)


def _logs(run: FolderRun, stage: str, cursor: str | None) -> LogsAnswer:
    head = run.head
    if stage not in head.stages:
        raise NotFound(
            f"no stage {stage!r} in this run", expected=f"one of {', '.join(head.stages)}"
        )
    reader = EventReader(run, [stage], cursor)
    lines = [each.line for each in reader.read(LOG_BYTES)]
    return LogsAnswer.of(head.asset.id, head.run_id, stage, lines, place_text(reader.place))


async def _events(
    request: Request, who: Caller, ep_id: str, run_id: str | None, last_event_id: str | None
) -> Response:
    service = service_in(request)
    run = await to_thread.run_sync(_run, service, ep_id, run_id)
    place = EventReader(run, run.head.stages, last_event_id or None).place
    shown = secret_in({name.lower(): value for name, value in request.headers.items()})

    async def may() -> bool:
        if shown is None:
            return True
        with suppress(FilmgateError):
            return await service.doorkeeper.caller(*shown, None) is not None
        return True  # the database is away, or slow: it is asked again

    stream = await service.hub.watch(run, place, who.user, may, is_resumed=bool(last_event_id))
    if stream is None:
        return Response(status_code=204)  # which tells a browser not to come back
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    with_count = _counted(service, stream)
    return StreamingResponse(with_count, headers=headers, media_type="text/event-stream")


async def _counted(service: Service, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with service.metrics.streams.track_inprogress():
        async for event in stream:
            yield event


def _run(service: Service, ep_id: str, run_id: str | None) -> FolderRun:
    """The run that is meant; an asset's newest where none is named."""
    asset_id = AssetId(ep_id)
    at_once = service.system.run_by_id(asset_id, parse_run_id(run_id)) if run_id else None
    if at_once is not None:
        return at_once
    runs = service.system.runs_of(asset_id)
    named = [run for run in runs if run_id in {None, run.head.run_id}]
    if not named:
        known = ", ".join(run.head.run_id for run in runs[-5:])
        raise NotFound(
            f"{ep_id!r} has no run {run_id!r} here" if run_id else f"{ep_id!r} has no run here",
            expected=f"one of its runs, such as {known}" if known else "an asset that was run on",
            hint="GET /episodes/{id}/runs lists them; POST /jobs/episode-run begins one",
        )
    return named[-1]
