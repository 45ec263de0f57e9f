"""The contracts of game sessions: items, and shared names."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from filmgate.core.envelope import Sha256, Text

MENU_FLAG_THRESHOLD = 0.1
"""Share of menu frames above which a video is flagged. The value is that of the public quality
pass whose columns the manifest uses."""


class Failure(BaseModel):
    """The error of an item that failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Text
    """Kind of failure, one word, such as `tar_truncated`."""
    message: Text
    expected: str | None = None
    got: str | None = None
    hint: str | None = None
    traceback: str | None = None
    """Traceback of an unexpected exception; null for known failures."""


class GameItem(BaseModel):
    """A line of `items.jsonl`: the result of one video in one archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    s3_key: Text
    """Key of the archive in the task list."""
    status: Literal["extracted", "failed"]
    video_id: Text | None = None
    """Name of the archive without its suffix, and the sample's name if the archive has several."""
    pt_key: Text | None = None
    pt_digest: Sha256 | None = None
    """Digest of the uncompressed contents of the `.pt` file, as stored in its seal."""
    input_digest: Text | None = None
    """`sha256:{hex}` of the names and digests of the archive's members that were read."""
    remarks: tuple[Text, ...] = ()
    """Peculiarities: `variable_rate`, `rotated`, `no_inputs`, `untimed_inputs` (no VIDEO_START),
    `bad_input_lines`, `damaged`."""
    error: Failure | None = None


class ExtractionTask(BaseModel):
    """A line of a task list."""

    model_config = ConfigDict(frozen=True)

    key: str

    @property
    def is_archive(self) -> bool:
        """Whether the key names an archive; otherwise it names a `.pt` file."""
        return self.key.endswith(ARCHIVE_SUFFIX)

    @property
    def stem(self) -> str:
        """The key without its suffix."""
        return self.key.removesuffix(ARCHIVE_SUFFIX).removesuffix(PT_SUFFIX)


ARCHIVE_SUFFIX, PT_SUFFIX = ".tar", ".pt"
ERROR_SUFFIX = ".error.json"
"""Suffix of the file that replaces the `.pt` file of a failed archive; it contains a `GameItem`."""


def to_plain_json(value: object) -> object:
    """Convert a value for a `.pt` file: tuples become lists, keys of objects become text."""
    if isinstance(value, dict):
        return {str(key): to_plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain_json(item) for item in value]
    return value
