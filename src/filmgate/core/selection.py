"""Selection: which run of an asset a type of artifact is served from."""

from pydantic import BaseModel, ConfigDict

from filmgate.core.errors import UsageError
from filmgate.core.questions import SelectionMode


class Selection(BaseModel):
    """A choice of what is served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: SelectionMode = SelectionMode.DEFAULT
    profile: str | None = None
    run_id: str | None = None
    ordinal: int | None = None
    """Of the only artifact that is served of a pinned run; None for all of it."""

    @classmethod
    def of(
        cls,
        mode: SelectionMode | None = None,
        *,
        profile: str | None = None,
        run_id: str | None = None,
        ordinal: int | None = None,
    ) -> "Selection":
        """What a caller means who names a mode, a profile, a run, or some of them.

        A profile alone means `profile`, a run alone `pinned`. Raises UsageError where they do
        not go together.
        """
        if mode is None:
            mode = SelectionMode.DEFAULT
            mode = SelectionMode.PROFILE if profile is not None else mode
            mode = SelectionMode.PINNED if run_id is not None else mode
        due = {SelectionMode.PROFILE: profile, SelectionMode.PINNED: run_id}
        if mode in due and not due[mode]:
            needs = "a profile" if mode is SelectionMode.PROFILE else "a run or an artifact"
            raise UsageError(f"selection {mode.value!r} needs {needs}", expected=needs, got="none")
        strange = [given for name, given in due.items() if given is not None and name is not mode]
        if strange:
            raise UsageError(
                f"selection {mode.value!r} does not go with {strange[0]!r}",
                expected="a profile with 'profile', a run or an artifact with 'pinned'",
                got=strange[0],
            )
        return cls(mode=mode, profile=profile, run_id=run_id, ordinal=ordinal)


DEFAULT = Selection()
