"""Videos: upload one, look at it, play it, ask what is in it."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.responses import Response

from filmgate.api.answering import answered
from filmgate.api.files import file_response
from filmgate.api.parameters import (
    ID,
    ArtifactType,
    AssetId,
    Chosen,
    Cursor,
    Limit,
    Operator,
    Serving,
    Word,
    noted,
    service_in,
)
from filmgate.api.questions import FindQuestion, JumpQuestion, described, read_as
from filmgate.api.uploading import Incoming, in_thread, name_of, pieces, receive_into
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
MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".avi": "video/x-msvideo",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".flac": "audio/flac",
}
Moment = Annotated[int | None, Query(ge=0, le=MAX_MS, description="In ms.", examples=[9000])]


@router.get("/{asset_id}/jump", response_model=JumpAnswer, openapi_extra=described(JumpQuestion))
def jump(
    request: Request,
    asset_id: AssetId,
    asked: Annotated[JumpQuestion, Depends(read_as(JumpQuestion))],
) -> Response:
    """The next thing that starts after a moment, or the last that starts before it; 404 where
    there is none."""
    way = asked.direction
    answer = service_in(request).archive.jump(
        asset_id,
        asked.kind,
        direction=way,
        from_ms=asked.from_ms if asked.from_ms is not None else way.outside,
        filters=asked.filters,
        selection=asked.chosen,
    )
    return answered(request, answer)


@router.get("/{asset_id}/find", response_model=FindAnswer, openapi_extra=described(FindQuestion))
def find(
    request: Request,
    asset_id: AssetId,
    asked: Annotated[FindQuestion, Depends(read_as(FindQuestion))],
) -> Response:
    """Where in a video something is said or shown, in order of time."""
    answer = service_in(request).archive.find(
        asset_id,
        asked.q,
        source=asked.source,
        direction=asked.direction,
        from_ms=asked.from_ms,
        limit=asked.limit,
        cursor=asked.cursor,
        selection=asked.chosen,
    )
    return answered(request, answer)


@router.get("", response_model=VideosAnswer)
def list_videos(
    request: Request, service: Serving, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """The videos there are, by id."""
    return answered(request, service.videos.all(limit, cursor))


@router.post(
    "",
    response_model=UploadAnswer,
    status_code=201,
    responses={200: {"model": UploadAnswer, "description": "The same bytes lay there already"}},
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
    service: Serving,
    who: Operator,
    asset_id: Annotated[
        str | None,
        Query(description="What it is to be called; default: from its file's name.", pattern=ID),
    ] = None,
    filename: Annotated[
        str | None,
        Query(description="Of a body that is no form.", max_length=500, examples=["film.mp4"]),
    ] = None,
) -> Response:
    """Upload a video: `curl -F file=@film.mp4`, or its bytes with `?filename=`.

    It is written to disk as it comes, and kept once it is whole and opens as a video.
    """
    limit = service.settings.upload_limit_mb * MB
    incoming = Incoming(request.headers.get("content-type", ""), is_named=filename is not None)
    request.state.pieces = pieces(request, limit)
    name = await name_of(request, incoming, filename)
    async with in_thread(service.videos.draft(name)) as draft:
        count = service.metrics.bytes_in.inc
        await receive_into(request, incoming, draft, limit, count)
        wanted = asset_id or incoming.field("asset_id")
        kept = await to_thread.run_sync(service.videos.keep, draft, wanted, who.user)
    noted(request, asset_id=kept.asset_id, input_hash=kept.input_hash, size_bytes=kept.size_bytes)
    return answered(request, kept, 200 if kept.is_known else 201)


@router.get("/{asset_id}", response_model=VideoAnswer)
def get_video(request: Request, service: Serving, asset_id: AssetId) -> Response:
    """A video."""
    return answered(request, service.videos.get(asset_id))


@router.get(
    "/{asset_id}/media",
    response_class=Response,
    responses={
        200: {"content": {"video/*": {"schema": {"type": "string", "format": "binary"}}}},
        206: {"description": "The range that was asked for"},
    },
)
def get_media(request: Request, service: Serving, asset_id: AssetId) -> Response:
    """Its file, whole or a range of it."""
    media = service.videos.media(asset_id)
    media_type = MEDIA_TYPES.get(media.path.suffix.lower(), "application/octet-stream")
    return file_response(
        request,
        media.path,
        size=media.size_bytes,
        sha256=media.sha256,
        media_type=media_type,
        name=media.path.name,
    )


@router.get("/{asset_id}/artifacts", response_model=ArtifactPage)
def list_artifacts(
    request: Request,
    service: Serving,
    asset_id: AssetId,
    selection: Chosen,
    types: Annotated[
        list[str] | None,
        Query(alias="type", max_length=50, description="Types; all without.", examples=["scene"]),
    ] = None,
    from_ms: Moment = None,
    to_ms: Moment = None,
    producer: Word = None,
    producer_version: Word = None,
    config_hash: Word = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Artifacts of a video in order of time, those that overlap a span."""
    answer = service.archive.artifacts(
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
    return answered(request, answer)


@router.get("/{asset_id}/screentime", response_model=ScreentimeAnswer)
def screentime(
    request: Request, service: Serving, asset_id: AssetId, selection: Chosen
) -> Response:
    """How long everybody in a video is on screen."""
    return answered(request, service.archive.screentime(asset_id, selection))


@router.get("/{asset_id}/profiles", response_model=ProfilesAnswer)
def profiles(
    request: Request, service: Serving, asset_id: AssetId, artifact_type: Word = None
) -> Response:
    """Under which model profiles a video was looked at, type by type."""
    return answered(request, service.archive.profiles(asset_id, artifact_type))


@router.get("/{asset_id}/runs", response_model=IngestedRunsAnswer)
def list_ingested_runs(
    request: Request,
    service: Serving,
    asset_id: AssetId,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """The runs of a video that the database knows, the latest first."""
    return answered(request, service.videos.runs(asset_id, limit, cursor))


@router.get("/{asset_id}/selections", response_model=SnapshotAnswer)
def list_selections(request: Request, service: Serving, asset_id: AssetId) -> Response:
    """What a video is served from, type by type: a snapshot that can be pinned."""
    return answered(request, service.archive.snapshot(asset_id))


@router.get("/{asset_id}/selections/{artifact_type}", response_model=Selection)
def get_selection(
    request: Request,
    service: Serving,
    asset_id: AssetId,
    artifact_type: ArtifactType,
) -> Response:
    """The stored choice for a type; `default` where nobody chose."""
    return answered(request, service.archive.choice(asset_id, artifact_type))


@router.put("/{asset_id}/selections/{artifact_type}", response_model=SnapshotAnswer)
def put_selection(
    request: Request,
    service: Serving,
    _who: Operator,
    asset_id: AssetId,
    artifact_type: ArtifactType,
    wanted: Annotated[Selection, Body()],
) -> Response:
    """Choose what a type is served from, for everybody; mode `default` takes the choice back."""
    checked = Selection.of(
        wanted.mode, profile=wanted.profile, run_id=wanted.run_id, ordinal=wanted.ordinal
    )
    noted(request, selection=checked.model_dump(mode="json"))
    return answered(request, service.archive.select(asset_id, artifact_type, checked))
