"""What a jump is narrowed by."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.errors import UsageError
from filmgate.core.questions import JumpKind


class JumpFilters(BaseModel):
    """What a jump is narrowed by."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    label: str | None = None
    """Exactly this label."""
    face_cluster_id: str | None = None
    """Exactly this person, as the run that is served groups faces."""
    text: str | None = None
    """Words, in web search syntax."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    """What is less sure, or says nothing of how sure it is, is passed over."""

    def given(self, kind: JumpKind) -> dict[str, Any]:
        """Those that are given; UsageError where the kind cannot be narrowed by one of them."""
        found = {name: value for name, value in self if value is not None}
        if strange := [name for name in found if name not in kind.filters]:
            raise UsageError(
                f"a jump to {kind.value} cannot be narrowed by {strange[0]}",
                expected=f"one of {', '.join(kind.filters)}" if kind.filters else "no filter",
                got=strange[0],
            )
        return found


NO_FILTERS = JumpFilters()
