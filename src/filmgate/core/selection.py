"""Selection policies: from which run of an asset an artifact type is served."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from filmgate.core.errors import UsageError, first_fault
from filmgate.core.ids import ID_PATTERN
from filmgate.core.questions import SelectionMode

MAX_PROFILE = 512
"""Length limit of the name of a model profile in a selection, in characters."""

MAX_ORDINAL = 10**9 - 1
"""Largest ordinal of an artifact."""


def _check_profile(name: str) -> str:
    if not 1 <= len(name) <= MAX_PROFILE:
        raise ValueError(f"a profile has 1 to {MAX_PROFILE} characters")
    return name


Profile = Annotated[
    str,
    AfterValidator(_check_profile),
    Field(json_schema_extra={"minLength": 1, "maxLength": MAX_PROFILE}),
]
"""Name of a model profile. Pydantic's own limits of length would refuse text from a command line
that is not valid Unicode, which queries accept, and which matches nothing."""


class Selection(BaseModel):
    """A selection policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: SelectionMode = SelectionMode.DEFAULT
    profile: Profile | None = None
    run_id: Annotated[str, Field(pattern=ID_PATTERN)] | None = None
    ordinal: Annotated[int, Field(strict=True, ge=0, le=MAX_ORDINAL)] | None = None
    """Ordinal of the only artifact to serve from a pinned run; None for all artifacts."""

    @classmethod
    def of(
        cls,
        mode: SelectionMode | None = None,
        *,
        profile: str | None = None,
        run_id: str | None = None,
        ordinal: int | None = None,
    ) -> "Selection":
        """Make a selection from options; a profile implies mode `profile`, a run mode `pinned`.

        Raises UsageError for options that are invalid or cannot be combined, or a missing profile
        or run.
        """
        if mode is None:
            mode = SelectionMode.DEFAULT
            mode = SelectionMode.PROFILE if profile is not None else mode
            mode = SelectionMode.PINNED if run_id is not None else mode
        values = {SelectionMode.PROFILE: profile, SelectionMode.PINNED: run_id}
        if mode in values and not values[mode]:
            needs = "a profile" if mode is SelectionMode.PROFILE else "a run or an artifact"
            raise UsageError(f"selection {mode.value!r} needs {needs}", expected=needs, got="none")
        unused = [value for name, value in values.items() if value is not None and name is not mode]
        if unused:
            raise UsageError(
                f"selection {mode.value!r} cannot be combined with {unused[0]!r}",
                expected="a profile with 'profile', a run or an artifact with 'pinned'",
                got=unused[0],
            )
        try:
            return cls(mode=mode, profile=profile, run_id=run_id, ordinal=ordinal)
        except ValidationError as error:
            raise UsageError(f"the selection is invalid: {first_fault(error)}") from error


DEFAULT = Selection()
