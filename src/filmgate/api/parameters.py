"""Parameters and dependencies that several endpoints share."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Path, Query, Request

from filmgate.api.service import Service
from filmgate.core.access import Caller, Scope
from filmgate.core.ids import ID_PATTERN

AssetId = Annotated[
    str,
    Path(description="Id of the video.", pattern=ID_PATTERN, examples=["gatecheck-s01e01"]),
]
EpisodeId = Annotated[
    str, Path(description="Id of the asset.", pattern=ID_PATTERN, examples=["gatecheck-s01e01"])
]
RunId = Annotated[
    str,
    Path(
        description="Id of the run.",
        pattern=ID_PATTERN,
        examples=["Attempt1_2026-11-21_002541_EST"],
    ),
]
WhichRun = Annotated[
    str | None,
    Query(
        description="Id of the run; default: the newest.",
        pattern=ID_PATTERN,
        examples=["Attempt1_2026-11-21_002541_EST"],
    ),
]
ArtifactType = Annotated[
    str,
    Path(
        description="Artifact type.",
        min_length=1,
        max_length=128,
        pattern=r"^[^\s/\x00-\x1f\x7f]+$",
        examples=["scene"],
    ),
]
Cursor = Annotated[
    str | None,
    Query(description="`next_cursor` of the previous page.", min_length=1, max_length=2000),
]
Limit = Annotated[
    int, Query(description="Maximum number of items on a page.", ge=1, le=1000, examples=[20])
]


def get_service(request: Request) -> Service:
    """Return the service that the application serves."""
    service: Service = request.app.state.service
    return service


async def provide_service(request: Request) -> Service:
    """Return the service; a coroutine, because FastAPI runs plain functions in a thread."""
    return get_service(request)


ServiceDep = Annotated[Service, Depends(provide_service)]


def _require_scope(scope: Scope) -> Callable[[Request], Awaitable[Caller]]:
    async def require_scope(request: Request) -> Caller:
        caller: Caller = request.state.caller
        caller.require(scope)
        return caller

    return require_scope


Viewer = Annotated[Caller, Depends(_require_scope(Scope.VIEWER))]
Operator = Annotated[Caller, Depends(_require_scope(Scope.OPERATOR))]
Admin = Annotated[Caller, Depends(_require_scope(Scope.ADMIN))]


def add_audit_fields(request: Request, **fields: object) -> None:
    """Set the details of the audit log entry of a change; None values are left out."""
    request.state.audit = {name: value for name, value in fields.items() if value is not None}
