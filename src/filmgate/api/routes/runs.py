"""Endpoints of runs in the home: status, logs, events, manifest and report."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import format_sse_event

from filmgate.api.authentication import secret_in
from filmgate.api.files import file_response
from filmgate.api.parameters import EpisodeId, RunId, ServiceDep, Viewer, WhichRun, get_service
from filmgate.api.responses import json_response
from filmgate.api.service import Service
from filmgate.core.access import Caller
from filmgate.core.digest import JsonDict
from filmgate.core.errors import FilmgateError
from filmgate.core.manifest import Manifest
from filmgate.core.runs import LogsAnswer, RunsAnswer, StatusAnswer
from filmgate.services.run_streams import RunEvent

router = APIRouter(prefix="/episodes", tags=["runs"])

RETRY_MS = 2000
"""Time after which a client reconnects to a stream, in milliseconds."""

STREAM_RESPONSES: dict[int | str, JsonDict] = {
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
    request: Request, service: ServiceDep, who: Viewer, ep_id: EpisodeId, run_id: WhichRun = None
) -> Response:
    """Return the status of a run, derived from its records: all stages, the reasons of blocked
    gates and suggested actions. Without `run_id`, return that of the asset's newest run. A share
    token gets the states of the stages, without messages, jobs and places."""
    answer = service.run_queries.status(ep_id, run_id)
    return json_response(request, answer if who.asset_id is None else answer.for_share())


@router.get("/{ep_id}/runs", response_model=RunsAnswer)
def list_episode_runs(request: Request, service: ServiceDep, ep_id: EpisodeId) -> Response:
    """List the runs of an asset in the home, oldest first."""
    return json_response(request, service.run_queries.list(ep_id))


@router.get("/{ep_id}/runs/{run_id}", response_model=Manifest)
def get_run(request: Request, service: ServiceDep, ep_id: EpisodeId, run_id: RunId) -> Response:
    """Return a run's manifest, derived from its records."""
    return json_response(request, service.run_queries.manifest(ep_id, run_id))


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
    report = service.run_queries.report(ep_id, run_id)
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
    return json_response(request, service.run_queries.logs(ep_id, run_id, stage, cursor))


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
    return json_response(request, service.run_queries.logs(ep_id, run_id, stage, cursor))


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


async def _stream_events(
    request: Request, who: Caller, ep_id: str, run_id: str | None, last_event_id: str | None
) -> Response:
    service = get_service(request)
    run = await to_thread.run_sync(service.run_queries.find, ep_id, run_id)
    secret = secret_in({name.lower(): value for name, value in request.headers.items()})

    async def is_permitted() -> bool:
        if secret is None:
            return True
        with suppress(FilmgateError):
            return await service.authenticator.find_caller(*secret, None) is not None
        return True  # the database is unavailable or slow; the next keep-alive checks again

    stream = await service.hub.watch(run, last_event_id or None, who.user, is_permitted)
    if stream is None:
        return Response(status_code=204)  # a browser does not reconnect after 204
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    comment = f"run {run.head.run_id}"
    counted = _format_stream(service, stream, comment)
    return StreamingResponse(counted, headers=headers, media_type="text/event-stream")


async def _format_stream(
    service: Service, stream: AsyncIterator[RunEvent], comment: str
) -> AsyncIterator[bytes]:
    """Yield events in the format of server-sent events; the first chunk sets the retry time."""
    with service.metrics.streams.track_inprogress():
        yield format_sse_event(retry=RETRY_MS, comment=comment)
        async for event in stream:
            if event.kind is None:
                yield format_sse_event(comment="still here")
            else:
                yield format_sse_event(event=event.kind, data_str=event.data, id=event.event_id)
