"""Endpoints of videos: upload, list, read the file, query artifacts, select the served run."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import Response

from filmgate.api.files import file_response, media_type_of
from filmgate.api.parameters import (
    ArtifactType,
    AssetId,
    Cursor,
    Limit,
    Operator,
    ServiceDep,
    add_audit_fields,
)
from filmgate.api.responses import json_response
from filmgate.api.uploads import IncomingFile, body_chunks, in_thread, read_file_name, receive_into
from filmgate.core.answers import SnapshotAnswer
from filmgate.core.digest import JsonDict
from filmgate.core.ids import ID_PATTERN, parse_asset_id
from filmgate.core.runs import IngestedRunsAnswer, UploadAnswer, VideoAnswer, VideosAnswer
from filmgate.core.selection import Selection

router = APIRouter(prefix="/v1/videos", tags=["videos"])

MB = 1_000_000

BYTES: JsonDict = {"type": "string", "format": "binary"}
UPLOAD_TYPES = (
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "audio/*",
    "video/*",
)
"""Content types of an upload that is not a form. The second one is what `curl --data-binary` sends;
it is accepted only with `?filename=`."""

MEDIA_CONTENT = ("application/octet-stream", "audio/*", "image/*", "video/*")
"""Content types of the files of videos."""


@router.get("", response_model=VideosAnswer)
def list_videos(
    request: Request, service: ServiceDep, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """List videos, sorted by id."""
    with service.videos.stored() as videos:
        return json_response(request, videos.all(limit, cursor))


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
                        "properties": {
                            "file": BYTES,
                            "asset_id": {"type": "string", "pattern": ID_PATTERN},
                        },
                        "additionalProperties": False,
                    }
                },
                **{name: {"schema": BYTES} for name in UPLOAD_TYPES},
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
        Query(
            description="Id of the video; default: derived from the file name.", pattern=ID_PATTERN
        ),
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
        200: {"content": {name: {"schema": BYTES} for name in MEDIA_CONTENT}},
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


@router.get("/{asset_id}/runs", response_model=IngestedRunsAnswer)
def list_ingested_runs(
    request: Request,
    service: ServiceDep,
    asset_id: AssetId,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List the ingested runs of a video, the latest first."""
    with service.videos.stored() as videos:
        return json_response(request, videos.runs(parse_asset_id(asset_id), limit, cursor))


@router.get("/{asset_id}/selections/{artifact_type}", response_model=Selection)
def get_selection(
    request: Request,
    service: ServiceDep,
    asset_id: AssetId,
    artifact_type: ArtifactType,
) -> Response:
    """Return the stored selection for an artifact type; `default` if none is stored."""
    return json_response(request, service.archive.stored_selection(asset_id, artifact_type))


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
    return json_response(request, service.archive.select(asset_id, artifact_type, selection))
