"""Parameters that several endpoints have, and who asks."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Path, Query, Request

from filmgate.api.service import Service
from filmgate.core.access import Caller, Scope
from filmgate.core.questions import SelectionMode
from filmgate.core.selection import Selection

ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"

AssetId = Annotated[
    str,
    Path(description="The video's id.", pattern=ID, examples=["gatecheck-s01e01"]),
]
EpisodeId = Annotated[
    str, Path(description="The asset's id.", pattern=ID, examples=["gatecheck-s01e01"])
]
RunId = Annotated[
    str,
    Path(description="The run's id.", pattern=ID, examples=["Attempt1_2026-11-21_002541_EST"]),
]
WhichRun = Annotated[
    str | None,
    Query(
        description="The run; the newest where left out.",
        pattern=ID,
        examples=["Attempt1_2026-11-21_002541_EST"],
    ),
]
ArtifactType = Annotated[
    str,
    Path(
        description="A type of artifact.",
        min_length=1,
        max_length=128,
        pattern=r"^[^\s/\x00-\x1f\x7f]+$",
        examples=["scene"],
    ),
]
Cursor = Annotated[
    str | None,
    Query(description="`next_cursor` of the answer before.", min_length=1, max_length=2000),
]
Limit = Annotated[int, Query(description="So many at most.", ge=1, le=1000, examples=[20])]
Word = Annotated[
    str | None, Query(min_length=1, max_length=512, description="Exactly this; any without it.")
]


def service_in(request: Request) -> Service:
    """The service that the application serves."""
    service: Service = request.app.state.service
    return service


async def service_of(request: Request) -> Service:
    """The same, as a dependency; one that is awaited costs no thread."""
    return service_in(request)


Serving = Annotated[Service, Depends(service_of)]


def _need(scope: Scope) -> Callable[[Request], Awaitable[Caller]]:
    async def who(request: Request) -> Caller:
        caller: Caller = request.state.caller
        caller.need(scope)
        return caller

    return who


Viewer = Annotated[Caller, Depends(_need(Scope.VIEWER))]
Operator = Annotated[Caller, Depends(_need(Scope.OPERATOR))]
Admin = Annotated[Caller, Depends(_need(Scope.ADMIN))]


async def chosen(
    selection: Annotated[
        SelectionMode | None,
        Query(description="How the run is chosen; the stored choice where left out."),
    ] = None,
    profile: Annotated[
        str | None,
        Query(
            description="The latest run under this model profile.",
            min_length=1,
            max_length=128,
            examples=["balanced"],
        ),
    ] = None,
    run_id: Annotated[str | None, Query(description="This run, and no other.", pattern=ID)] = None,
) -> Selection:
    """What the parameters mean together."""
    return Selection.of(selection, profile=profile, run_id=run_id)


Chosen = Annotated[Selection, Depends(chosen)]


def noted(request: Request, **facts: object) -> None:
    """What the audit log is to know of a change besides."""
    request.state.audit = {name: value for name, value in facts.items() if value is not None}
