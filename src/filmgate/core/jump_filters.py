"""The filters of a jump query."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.errors import UsageError
from filmgate.core.questions import filters_of


class JumpFilters(BaseModel):
    """The filters of a jump query; a filter that is None is not applied."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    label: str | None = None
    """Label that an artifact must have, exactly."""
    face_cluster_id: str | None = None
    """Id of the face cluster in the served run."""
    text: str | None = None
    """Words that the text must contain, in web search syntax."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    """Minimum confidence; artifacts without a confidence are excluded, too."""

    def for_kind(self, kind: str) -> dict[str, object]:
        """Return the filters that are set. Raises UsageError if `kind` does not support one."""
        found = {name: value for name, value in self if value is not None}
        supported = filters_of(kind)
        if unsupported := [name for name in found if name not in supported]:
            raise UsageError(
                f"a jump to {kind} cannot be filtered by {unsupported[0]}",
                expected=f"one of {', '.join(supported)}" if supported else "no filter",
                got=unsupported[0],
            )
        return found


NO_FILTERS = JumpFilters()
