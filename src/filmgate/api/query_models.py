"""Models of the query parameters of jump and find, which are the most frequent requests.

FastAPI parses parameters one by one, which takes longer than to answer a jump. Here one model
parses all parameters; their OpenAPI description comes from the same model.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from filmgate.api.parameters import ID
from filmgate.core.jump_filters import JumpFilters
from filmgate.core.moments import MAX_MS
from filmgate.core.questions import Direction, JumpKind, SelectionMode, TextSource
from filmgate.core.selection import Selection

MAX_QUERY_TEXT = 2000
"""Length limit of a search text, in characters; it must fit in a request target."""

Word = Annotated[str, Field(min_length=1, max_length=512)]
Words = Annotated[str, Field(min_length=1, max_length=MAX_QUERY_TEXT)]
Moment = Annotated[int, Field(ge=-1, le=MAX_MS, description="Time in ms.", examples=[9000])]
Q = TypeVar("Q", bound=BaseModel)


class TimelineQuery(BaseModel):
    """Parameters that jump and find share."""

    model_config = ConfigDict(frozen=True)

    direction: Annotated[Direction, Field(description="Direction in time.")] = Direction.NEXT
    from_ms: Moment | None = None
    selection: Annotated[
        SelectionMode | None,
        Field(description="How the run is selected; default: the stored selection."),
    ] = None
    profile: Annotated[
        Word | None, Field(description="Select the latest run under this model profile.")
    ] = None
    run_id: Annotated[str | None, Field(pattern=ID, description="Select this run.")] = None

    @property
    def run_selection(self) -> Selection:
        """The selection that results from `selection`, `profile` and `run_id`."""
        return Selection.of(self.selection, profile=self.profile, run_id=self.run_id)


class JumpQuery(TimelineQuery):
    """Parameters of a jump to the next or previous artifact of a kind."""

    kind: Annotated[JumpKind, Field(description="Kind of artifact to jump to.")]
    label: Annotated[Word | None, Field(description="Label of an object or a place.")] = None
    face_cluster_id: Annotated[
        Word | None, Field(description="Cluster of a face or a person, such as c1.")
    ] = None
    text: Annotated[
        Words | None, Field(description="Words of a transcript, or of text on screen.")
    ] = None
    min_confidence: Annotated[
        float | None, Field(ge=0, le=1, description="Skip artifacts of lower confidence.")
    ] = None

    @property
    def filters(self) -> JumpFilters:
        """The filters of the jump."""
        return JumpFilters(
            label=self.label,
            face_cluster_id=self.face_cluster_id,
            text=self.text,
            min_confidence=self.min_confidence,
        )


class FindQuery(TimelineQuery):
    """Parameters of a text search in a video."""

    q: Annotated[
        Words,
        Field(
            description='Words, "a phrase", word or word, -excluded.',
            examples=["compiler or rocket"],
        ),
    ]
    source: Annotated[
        TextSource, Field(description="Search the transcript, text on screen, or both.")
    ] = TextSource.TRANSCRIPT
    limit: Annotated[int, Field(ge=1, le=1000, description="Maximum number of hits on a page.")] = (
        20
    )
    cursor: Annotated[
        str | None,
        Field(min_length=1, max_length=2000, description="`next_cursor` of the previous page."),
    ] = None


def parse_query(model: type[Q]) -> Callable[[Request], Awaitable[Q]]:
    """Return a dependency that parses a request's query parameters as a model."""

    async def parse(request: Request) -> Q:
        try:
            return model.model_validate(dict(request.query_params))
        except ValidationError as error:
            faults = [{**fault, "loc": ("query", *fault["loc"])} for fault in error.errors()]
            raise RequestValidationError(faults) from None

    return parse


def openapi_parameters(model: type[TimelineQuery]) -> dict[str, Any]:
    """Return the OpenAPI description of a model's query parameters."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    required = set(schema.get("required", ()))
    definitions = schema.get("$defs", {})
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "description": prop.get("description", ""),
                "schema": _inline_refs(prop, definitions),
            }
            for name, prop in schema["properties"].items()
        ]
    }


def _inline_refs(node: Any, definitions: dict[str, Any]) -> Any:
    """Return a JSON schema without references and without the alternative `null`.

    An optional query parameter can be left out but cannot be null.
    """
    if isinstance(node, list):
        return [_inline_refs(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inline_refs(definitions[node["$ref"].rpartition("/")[2]], definitions)
    variants = [variant for variant in node.get("anyOf", []) if variant.get("type") != "null"]
    if len(variants) == 1:
        own = {name: value for name, value in node.items() if name not in {"anyOf", "default"}}
        return {**_inline_refs(variants[0], definitions), **own}
    return {name: _inline_refs(value, definitions) for name, value in node.items()}
