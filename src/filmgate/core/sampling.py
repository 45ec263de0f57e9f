"""Which frames of a video are sampled, and their names."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

UNIFORM = "uniform-{count}_chw"
STRIDE = "stride-{stride}_chw"
"""Names of series of sampled frames in `sampled_frames`."""


class Sampling(BaseModel):
    """Which frames of a video are sampled, and their size."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strides: dict[Annotated[int, Field(ge=1, le=10_000)], Annotated[int, Field(ge=1, le=1000)]]
    """Number of frames to sample, by stride. Every stride-th frame is sampled, from the first."""
    uniform: Annotated[int, Field(ge=0, le=1000)]
    """Number of frames to sample evenly: one from the middle of each of as many equal parts."""
    shorter_side: Annotated[int, Field(ge=16, le=2160)]
    """Length of the upright frame's shorter side, in pixels; the other side keeps the aspect
    ratio, rounded to an even number."""

    @property
    def series(self) -> tuple[str, ...]:
        """Names of the series: one per stride, smallest stride first, then the uniform series."""
        names = [STRIDE.format(stride=stride) for stride in sorted(self.strides)]
        return (*names, UNIFORM.format(count=self.uniform)) if self.uniform else tuple(names)
