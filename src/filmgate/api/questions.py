"""The questions that are asked most, read off an address in one go.

A framework's parameters are looked at one by one, which takes longer than the answer; these are one
value each. What is told of them in the description is taken from the same values.
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

LONGEST_QUESTION = 2000
"""Characters of words to look for: an address has room for no more, whatever their script."""

Word = Annotated[str, Field(min_length=1, max_length=512)]
Words = Annotated[str, Field(min_length=1, max_length=LONGEST_QUESTION)]
Moment = Annotated[int, Field(ge=-1, le=MAX_MS, description="A moment in ms.", examples=[9000])]
Q = TypeVar("Q", bound=BaseModel)


class Question(BaseModel):
    """What every question about what is served may say."""

    model_config = ConfigDict(frozen=True)

    direction: Annotated[Direction, Field(description="Which way through time.")] = Direction.NEXT
    from_ms: Moment | None = None
    selection: Annotated[
        SelectionMode | None, Field(description="How the run is chosen; as stored where left out.")
    ] = None
    profile: Annotated[
        Word | None, Field(description="The latest run under this model profile.")
    ] = None
    run_id: Annotated[str | None, Field(pattern=ID, description="This run, and no other.")] = None

    @property
    def chosen(self) -> Selection:
        """What it is to be answered from."""
        return Selection.of(self.selection, profile=self.profile, run_id=self.run_id)


class JumpQuestion(Question):
    """To the next or previous thing of a kind."""

    kind: Annotated[JumpKind, Field(description="What to jump to.")]
    label: Annotated[Word | None, Field(description="Of an object or a place.")] = None
    face_cluster_id: Annotated[
        Word | None, Field(description="Of a face or a person, such as c1.")
    ] = None
    text: Annotated[Words | None, Field(description="Words of a transcript, or on screen.")] = None
    min_confidence: Annotated[
        float | None, Field(ge=0, le=1, description="What is less sure is passed over.")
    ] = None

    @property
    def filters(self) -> JumpFilters:
        """What it is narrowed by."""
        return JumpFilters(
            label=self.label,
            face_cluster_id=self.face_cluster_id,
            text=self.text,
            min_confidence=self.min_confidence,
        )


class FindQuestion(Question):
    """Where words stand."""

    q: Annotated[
        Words,
        Field(
            description='Words, "a phrase", this or that, -without.',
            examples=["compiler or rocket"],
        ),
    ]
    source: Annotated[
        TextSource, Field(description="What was said, what stands on screen, or both.")
    ] = TextSource.TRANSCRIPT
    limit: Annotated[int, Field(ge=1, le=1000, description="So many at most.")] = 20
    cursor: Annotated[
        str | None,
        Field(min_length=1, max_length=2000, description="`next_cursor` of the answer before."),
    ] = None


def read_as(kind: type[Q]) -> Callable[[Request], Awaitable[Q]]:
    """A dependency that reads such a question off a request."""

    async def question(request: Request) -> Q:
        try:
            return kind.model_validate(dict(request.query_params))
        except ValidationError as error:
            faults = [{**each, "loc": ("query", *each["loc"])} for each in error.errors()]
            raise RequestValidationError(faults) from None

    return question


def described(kind: type[Question]) -> dict[str, Any]:
    """Its parameters, as OpenAPI tells of them."""
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    needed = set(schema.get("required", ()))
    shapes = schema.get("$defs", {})
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": name in needed,
                "description": shape.get("description", ""),
                "schema": _inlined(shape, shapes),
            }
            for name, shape in schema["properties"].items()
        ]
    }


def _inlined(shape: Any, shapes: dict[str, Any]) -> Any:
    """A schema without references; a parameter that is null is left out, so null is no choice."""
    if isinstance(shape, list):
        return [_inlined(each, shapes) for each in shape]
    if not isinstance(shape, dict):
        return shape
    if "$ref" in shape:
        return _inlined(shapes[shape["$ref"].rpartition("/")[2]], shapes)
    choices = [each for each in shape.get("anyOf", []) if each.get("type") != "null"]
    if len(choices) == 1:
        own = {name: held for name, held in shape.items() if name not in {"anyOf", "default"}}
        return {**_inlined(choices[0], shapes), **own}
    return {name: _inlined(held, shapes) for name, held in shape.items()}
