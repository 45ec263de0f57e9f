"""Endpoints of videos: upload, list, read the file, query artifacts, select the served run."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.responses import Response

from filmgate.api.files import file_response, media_type_of
from filmgate.api.parameters import (
    ID,
    ArtifactType,
    AssetId,
    Cursor,
    Limit,
    Operator,
    SelectionDep,
    ServiceDep,
    Word,
    add_audit_fields,
    get_service,
)
from filmgate.api.query_models import FindQuery, JumpQuery, openapi_parameters, parse_query
from filmgate.api.responses import json_response
from filmgate.api.uploads import (
    IncomingFile,
    body_chunks,
    in_thread,
    read_file_name,
    receive_into,
)
from filmgate.core.answers import (
    ArtifactPage,
    FindAnswer,
    JumpAnswer,
    ProfilesAnswer,
    ScreentimeAnswer,
    SnapshotAnswer,
)
from filmgate.core.moments import MAX_MS
from filmgate.core.runs import IngestedRunsAnswer, UploadAnswer, VideoAnswer, VideosAnswer
from filmgate.core.selection import Selection

router = APIRouter(prefix="/v1/videos", tags=["videos"])

MB = 1_000_000
Moment = Annotated[int | None, Query(ge=0, le=MAX_MS, description="Time in ms.", examples=[9000])]


@router.get(
    "/{asset_id}/jump", response_model=JumpAnswer, openapi_extra=openapi_parameters(JumpQuery)
)
def jump(
    request: Request,
    asset_id: AssetId,
    query: Annotated[JumpQuery, Depends(parse_query(JumpQuery))],
) -> Response:
    """Return the next artifact that starts after a time, or the last that starts before it; 404
    if there is none."""
    direction = query.direction
    answer = get_service(request).queries.jump(
        asset_id,
        query.kind,
        direction=direction,
        from_ms=query.from_ms if query.from_ms is not None else direction.initial_ms,
        filters=query.filters,
        selection=query.run_selection,
    )
    return json_response(request, answer)


@router.get(
    "/{asset_id}/find", response_model=FindAnswer, openapi_extra=openapi_parameters(FindQuery)
)
def find(
    request: Request,
    asset_id: AssetId,
    query: Annotated[FindQuery, Depends(parse_query(FindQuery))],
) -> Response:
    """Search speech and on-screen text in a video; hits are sorted by time."""
    answer = get_service(request).queries.find(
        asset_id,
        query.q,
        source=query.source,
        direction=query.direction,
        from_ms=query.from_ms,
        limit=query.limit,
        cursor=query.cursor,
        selection=query.run_selection,
    )
    return json_response(request, answer)


@router.get("", response_model=VideosAnswer)
def list_videos(
    request: Request, service: ServiceDep, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """List videos, sorted by id."""
    return json_response(request, service.videos.all(limit, cursor))


@router.post(
    "",
    response_model=UploadAnswer,
    status_code=201,
    responses={200: {"model": UploadAnswer, "description": "The same video already exists"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {"file": {"type": "string", "format": "binary"}},
                    }
                },
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def upload_video(
    request: Request,
    service: ServiceDep,
    who: Operator,
    asset_id: Annotated[
        str | None,
        Query(description="Id of the video; default: derived from the file name.", pattern=ID),
    ] = None,
    filename: Annotated[
        str | None,
        Query(
            description="Name of the file, if the body is not a form.",
            max_length=500,
            examples=["film.mp4"],
        ),
    ] = None,
) -> Response:
    """Upload a video as a form (`curl -F file=@film.mp4`), or as plain bytes with `?filename=`.

    The body is streamed to disk. It is stored when it is complete and can be opened as a video.
    """
    limit = service.settings.upload_limit_mb * MB
    incoming = IncomingFile(request.headers.get("content-type", ""), is_named=filename is not None)
    request.state.body_chunks = body_chunks(request, limit)
    name = await read_file_name(request, incoming, filename)
    async with in_thread(service.videos.draft(name)) as draft:
        count = service.metrics.bytes_in.inc
        await receive_into(request, incoming, draft, limit, count)
        requested_id = asset_id or incoming.field("asset_id")
        upload = await to_thread.run_sync(service.videos.store, draft, requested_id, who.user)
    add_audit_fields(
        request,
        asset_id=upload.asset_id,
        input_hash=upload.input_hash,
        size_bytes=upload.size_bytes,
    )
    return json_response(request, upload, 200 if upload.is_known else 201)


@router.get("/{asset_id}", response_model=VideoAnswer)
def get_video(request: Request, service: ServiceDep, asset_id: AssetId) -> Response:
    """Return a video."""
    return json_response(request, service.videos.get(asset_id))


@router.get(
    "/{asset_id}/media",
    response_class=Response,
    responses={
        200: {"content": {"video/*": {"schema": {"type": "string", "format": "binary"}}}},
        206: {"description": "The requested range"},
    },
)
def get_media(request: Request, service: ServiceDep, asset_id: AssetId) -> Response:
    """Return the file of a video, or a byte range of it."""
    media = service.videos.media(asset_id)
    return file_response(
        request,
        media.path,
        size=media.size_bytes,
        sha256=media.sha256,
        media_type=media_type_of(media.path),
        name=media.path.name,
    )


@router.get("/{asset_id}/artifacts", response_model=ArtifactPage)
def list_artifacts(
    request: Request,
    service: ServiceDep,
    asset_id: AssetId,
    selection: SelectionDep,
    types: Annotated[
        list[str] | None,
        Query(
            alias="type",
            max_length=50,
            description="Artifact types; default: all.",
            examples=["scene"],
        ),
    ] = None,
    from_ms: Moment = None,
    to_ms: Moment = None,
    producer: Word = None,
    producer_version: Word = None,
    config_hash: Word = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List the artifacts of a video that overlap a span, sorted by time."""
    answer = service.queries.artifacts(
        asset_id,
        artifact_types=types or (),
        from_ms=from_ms,
        to_ms=to_ms,
        producer=producer,
        producer_version=producer_version,
        config_hash=config_hash,
        selection=selection,
        limit=limit,
        cursor=cursor,
    )
    return json_response(request, answer)


@router.get("/{asset_id}/screentime", response_model=ScreentimeAnswer)
def screentime(
    request: Request, service: ServiceDep, asset_id: AssetId, selection: SelectionDep
) -> Response:
    """Return the screen time of every person in a video."""
    return json_response(request, service.queries.screentime(asset_id, selection))


@router.get("/{asset_id}/profiles", response_model=ProfilesAnswer)
def profiles(
    request: Request, service: ServiceDep, asset_id: AssetId, artifact_type: Word = None
) -> Response:
    """List the model profiles of a video's runs, by artifact type."""
    return json_response(request, service.queries.profiles(asset_id, artifact_type))


@router.get("/{asset_id}/runs", response_model=IngestedRunsAnswer)
def list_ingested_runs(
    request: Request,
    service: ServiceDep,
    asset_id: AssetId,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List the ingested runs of a video, the latest first."""
    return json_response(request, service.videos.runs(asset_id, limit, cursor))


@router.get("/{asset_id}/selections", response_model=SnapshotAnswer)
def list_selections(request: Request, service: ServiceDep, asset_id: AssetId) -> Response:
    """Return the run from which each artifact type of a video is served."""
    return json_response(request, service.queries.snapshot(asset_id))


@router.get("/{asset_id}/selections/{artifact_type}", response_model=Selection)
def get_selection(
    request: Request,
    service: ServiceDep,
    asset_id: AssetId,
    artifact_type: ArtifactType,
) -> Response:
    """Return the stored selection for an artifact type; `default` if none is stored."""
    return json_response(request, service.queries.stored_selection(asset_id, artifact_type))


@router.put("/{asset_id}/selections/{artifact_type}", response_model=SnapshotAnswer)
def put_selection(
    request: Request,
    service: ServiceDep,
    _who: Operator,
    asset_id: AssetId,
    artifact_type: ArtifactType,
    body: Annotated[Selection, Body()],
) -> Response:
    """Store the selection for an artifact type, for all users; mode `default` removes it."""
    selection = Selection.of(
        body.mode, profile=body.profile, run_id=body.run_id, ordinal=body.ordinal
    )
    add_audit_fields(request, selection=selection.model_dump(mode="json"))
    return json_response(request, service.queries.select(asset_id, artifact_type, selection))
