"""The contracts of game sessions: what is sampled, what an item came to, and names that all use."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.envelope import Sha256, Text

UNIFORM = "uniform-{count}_chw"
STRIDE = "stride-{stride}_chw"
"""What series of sampled frames are called in `sampled_frames`."""

MENU_FLAG_THRESHOLD = 0.1
"""A video is mostly menu where more than this share of it is: the value of the public quality
pass whose columns the manifest has."""


class Sampling(BaseModel):
    """Which frames of a video are kept, and how large."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strides: dict[Annotated[int, Field(ge=1, le=10_000)], Annotated[int, Field(ge=1, le=1000)]]
    """Every how many frames, and how many of them, from the first frame on."""
    uniform: Annotated[int, Field(ge=0, le=1000)]
    """How many frames spread evenly over the whole video, each from the middle of its share."""
    shorter_side: Annotated[int, Field(ge=16, le=2160)]
    """Pixels of the shorter side, upright; the aspect is kept, to whole even pixels."""

    @property
    def series(self) -> tuple[str, ...]:
        """The names of the series, in their order."""
        named = [STRIDE.format(stride=stride) for stride in sorted(self.strides)]
        return (*named, UNIFORM.format(count=self.uniform)) if self.uniform else tuple(named)


class Failure(BaseModel):
    """Why an item came to nothing: an error record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Text
    """One word for each kind, such as `tar_truncated`."""
    message: Text
    expected: str | None = None
    got: str | None = None
    hint: str | None = None
    traceback: str | None = None
    """Of what nobody foresaw; null where the code says all."""


class GameItem(BaseModel):
    """`items.jsonl`: what came of one video of one archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    s3_key: Text
    """The archive's key, as the task list has it."""
    status: Literal["extracted", "failed"]
    video_id: Text | None = None
    """The archive's name without its end; of an archive of several, with the sample's name."""
    pt_key: Text | None = None
    pt_digest: Sha256 | None = None
    """Of everything in the `.pt` file, compressed or not: what its seal says."""
    input_digest: Text | None = None
    """`sha256:…` of the digests, by name, of the archive's members that were read."""
    remarks: tuple[Text, ...] = ()
    """What is unusual about it: `variable_rate`, `rotated`, `no_inputs`, `untimed_inputs` (no
    VIDEO_START), `bad_input_lines`, `damaged`."""
    error: Failure | None = None


class Task(BaseModel):
    """A line of a task list."""

    model_config = ConfigDict(frozen=True)

    key: str

    @property
    def is_archive(self) -> bool:
        """Whether it names an archive; else it names a `.pt` file."""
        return self.key.endswith(ARCHIVE)

    @property
    def stem(self) -> str:
        """The key without its end."""
        return self.key.removesuffix(ARCHIVE).removesuffix(PT)


ARCHIVE, PT = ".tar", ".pt"
FAILED = ".error.json"
"""What an archive leaves beside where its `.pt` file would be, when it fails: a `GameItem`."""


def plain(value: Any) -> Any:
    """A JSON value as it goes into a `.pt` file: as it is, tuples as lists."""
    if isinstance(value, dict):
        return {str(key): plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [plain(held) for held in value]
    return value
