"""Endpoints of runs in the home: status, logs, events, manifest and report."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from filmgate.api.authentication import secret_in
from filmgate.api.files import file_response
from filmgate.api.parameters import EpisodeId, RunId, ServiceDep, Viewer, WhichRun, get_service
from filmgate.api.responses import json_response
from filmgate.api.service import Service
from filmgate.app.clock import utc_now
from filmgate.app.reports import find_report
from filmgate.app.run_status import RunStatus
from filmgate.app.status_answers import legacy_entry, legacy_status, run_entry, status_answer
from filmgate.core.access import Caller
from filmgate.core.errors import FilmgateError, Invalid, NotFound, Unavailable
from filmgate.core.ids import AssetId, parse_run_id
from filmgate.core.manifest import Manifest
from filmgate.core.runs import LogsAnswer, RunsAnswer, StatusAnswer
from filmgate.store.event_log import EventReader, format_position
from filmgate.store.run_directory import FolderRun

router = APIRouter(prefix="/episodes", tags=["runs"])

LOG_BYTES = 256 * 1024
"""Maximum size of the part of a stage's log in one response, in bytes."""

STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events. `log`: a line of the run's logs, as "
        "`/logs/{stage}` has it; `status` and `end`: the body of `/status`, without progress; "
        '`progress`: {"STAGE": {"done": 3, "total": 7}}',
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "The run has ended, and the client has received all its events"},
}
LogCursor = Annotated[
    str | None, Query(max_length=2000, description="`next_cursor` of the previous part.")
]
LastEventId = Annotated[
    str | None, Header(max_length=2000, description="Id of the last event that was received.")
]
StageName = Annotated[str, Path(max_length=128, description="Stage.", examples=["scenes"])]


@router.get("/{ep_id}/status", response_model=StatusAnswer)
def status(
    request: Request, service: ServiceDep, ep_id: EpisodeId, run_id: WhichRun = None
) -> Response:
    """Return the status of a run, derived from its records: all stages, the reasons of blocked
    gates and suggested actions. Without `run_id`, return that of the asset's newest run."""
    try:
        run = _find_run(service, ep_id, run_id)
    except NotFound:
        legacy = service.runs.find_legacy_run(f"{ep_id}/{run_id}" if run_id else ep_id)
        if legacy is None:
            raise
        return json_response(request, legacy_status(legacy))
    try:
        job = service.jobs.latest(run.head.asset.id, run.head.run_id)
    except Unavailable:
        job = None
    return json_response(request, status_answer(RunStatus.of(run, utc_now()), job))


@router.get("/{ep_id}/runs", response_model=RunsAnswer)
def list_episode_runs(request: Request, service: ServiceDep, ep_id: EpisodeId) -> Response:
    """List the runs of an asset in the home, oldest first."""
    entries, unreadable = [], []
    for run in service.runs.runs_of_asset(AssetId(ep_id)):
        try:
            entries.append(run_entry(run.fold_manifest(None)))
        except Invalid:
            unreadable.append(run.folder.name)
    legacy = [run for run in service.runs.legacy_runs() if run.asset_id == ep_id]
    entries += map(legacy_entry, legacy)
    if not entries and not unreadable:
        raise NotFound(f"asset {ep_id!r} has no runs here", expected="an asset with a run here")
    return json_response(
        request, RunsAnswer(asset_id=ep_id, runs=tuple(entries), unreadable=tuple(unreadable))
    )


@router.get("/{ep_id}/runs/{run_id}", response_model=Manifest)
def get_run(request: Request, service: ServiceDep, ep_id: EpisodeId, run_id: RunId) -> Response:
    """Return a run's manifest, derived from its records."""
    return json_response(request, _find_run(service, ep_id, run_id).fold_manifest(None))


@router.get(
    "/{ep_id}/runs/{run_id}/export",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}},
        206: {"description": "The requested range"},
    },
)
def export(request: Request, service: ServiceDep, ep_id: EpisodeId, run_id: RunId) -> Response:
    """Return the PDF report of a run, if the file has not changed since the run created it."""
    report = find_report(_find_run(service, ep_id, run_id))
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
    service: ServiceDep,
    ep_id: EpisodeId,
    stage: StageName,
    run_id: WhichRun = None,
    cursor: LogCursor = None,
) -> Response:
    """Return lines of a stage's log, oldest first. `next_cursor` is present even at the end: use it
    to get lines that are written later."""
    return json_response(request, _read_logs(_find_run(service, ep_id, run_id), stage, cursor))


@router.get("/{ep_id}/runs/{run_id}/logs/{stage}", response_model=LogsAnswer)
def logs_of_run(
    request: Request,
    service: ServiceDep,
    ep_id: EpisodeId,
    run_id: RunId,
    stage: StageName,
    cursor: LogCursor = None,
) -> Response:
    """Return lines of the log of a stage of this run, oldest first."""
    return json_response(request, _read_logs(_find_run(service, ep_id, run_id), stage, cursor))


@router.get("/{ep_id}/events", response_class=Response, responses=STREAM_RESPONSES)
async def events(
    request: Request,
    who: Viewer,
    ep_id: EpisodeId,
    run_id: WhichRun = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Stream the events of a run: `log` for each line of its logs, `status` when its status
    changes, `progress` while stages run, `end` when the run has ended. To resume a stream, send the
    id of the last `log` event as `Last-Event-ID`. A client that resumes after the end gets 204."""
    return await _stream_events(request, who, ep_id, run_id, last_event_id)


@router.get("/{ep_id}/runs/{run_id}/events", response_class=Response, responses=STREAM_RESPONSES)
async def events_of_run(
    request: Request,
    who: Viewer,
    ep_id: EpisodeId,
    run_id: RunId,
    last_event_id: LastEventId = None,
) -> Response:
    """Stream the events of this run."""
    return await _stream_events(request, who, ep_id, run_id, last_event_id)


def _read_logs(run: FolderRun, stage: str, cursor: str | None) -> LogsAnswer:
    head = run.head
    if stage not in head.stages:
        raise NotFound(
            f"run {head.run_id} has no stage {stage!r}",
            expected=f"one of {', '.join(head.stages)}",
        )
    reader = EventReader(run, [stage], cursor)
    lines = [logged.line for logged in reader.read(LOG_BYTES)]
    next_cursor = format_position(reader.position)
    return LogsAnswer.from_lines(head.asset.id, head.run_id, stage, lines, next_cursor)


async def _stream_events(
    request: Request, who: Caller, ep_id: str, run_id: str | None, last_event_id: str | None
) -> Response:
    service = get_service(request)
    run = await to_thread.run_sync(_find_run, service, ep_id, run_id)
    position = EventReader(run, run.head.stages, last_event_id or None).position
    secret = secret_in({name.lower(): value for name, value in request.headers.items()})

    async def is_permitted() -> bool:
        if secret is None:
            return True
        with suppress(FilmgateError):
            return await service.authenticator.find_caller(*secret, None) is not None
        return True  # the database is unavailable or slow; the next keep-alive checks again

    stream = await service.hub.watch(
        run, position, who.user, is_permitted, is_resumed=bool(last_event_id)
    )
    if stream is None:
        return Response(status_code=204)  # a browser does not reconnect after 204
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    counted = _count_stream(service, stream)
    return StreamingResponse(counted, headers=headers, media_type="text/event-stream")


async def _count_stream(service: Service, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with service.metrics.streams.track_inprogress():
        async for event in stream:
            yield event


def _find_run(service: Service, ep_id: str, run_id: str | None) -> FolderRun:
    """Return a run of an asset by its id, or the asset's newest; raises NotFound."""
    asset_id = AssetId(ep_id)
    direct = service.runs.find_by_id(asset_id, parse_run_id(run_id)) if run_id else None
    if direct is not None:
        return direct
    runs = service.runs.runs_of_asset(asset_id)
    matching = [run for run in runs if run_id in {None, run.head.run_id}]
    if not matching:
        newest = ", ".join(run.head.run_id for run in runs[-5:])
        raise NotFound(
            f"asset {ep_id!r} has no run {run_id!r} here"
            if run_id
            else f"asset {ep_id!r} has no runs here",
            expected=f"one of its runs, such as {newest}" if newest else "an asset with a run",
            hint="List runs with GET /episodes/{id}/runs, start one with POST /jobs/episode-run",
        )
    return matching[-1]
