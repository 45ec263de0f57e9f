"""The contents of a `.pt` file: `ExtractedData`, and how it was extracted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypedDict, Union

from pydantic import JsonValue

from filmgate.core.errors import Invalid
from filmgate.pipelines.gameplay.contracts import to_plain_json
from filmgate.pipelines.gameplay.rules.inputs import InputEvent, InputLog
from filmgate.tools.sampling import SampledVideo
from filmgate.tools.torch_files.reading import PtFile, PtUnreadable, Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = "filmgate.extracted"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class FileOrigin:
    """The archive members that a `.pt` file was extracted from."""

    s3_key: str
    video_id: str
    sizes: Mapping[str, int]
    """Size in bytes of each member that was read, by name."""
    members: Mapping[str, str]
    """Digest, `sha256:…`, of each member that was read, by name."""
    digest: str
    """Digest, `sha256:…`, of `members`."""


def build_value(
    origin: FileOrigin,
    video: SampledVideo,
    session_metadata: Mapping[str, JsonValue],
    inputs: InputLog,
    facts: Mapping[str, JsonValue],
    remarks: Sequence[str],
) -> dict[str, object]:
    """Build the value that is written to a `.pt` file."""
    import numpy as np  # slow to import

    events = inputs.events
    return {
        "s3_key": origin.s3_key,
        "video_id": origin.video_id,
        "video_metadata": to_plain_json(video.metadata),
        "session_metadata": to_plain_json(session_metadata),
        "sampled_frames": {name: series.frames for name, series in video.series.items()},
        "filmgate": {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "input": {
                "digest": origin.digest,
                "members": dict(origin.members),
                "sizes": dict(origin.sizes),
            },
            "extraction": to_plain_json(facts),
            "remarks": list(remarks),
            "samples": {
                name: {"frame": series.numbers, "time_ms": series.times_ms}
                for name, series in video.series.items()
            },
            "time_line": {
                "time_base": [video.time_base.numerator, video.time_base.denominator],
                "pts": video.pts,
            },
            "change": {"frame": video.change_numbers, "luma": video.change},
            "decode_errors": video.decode_errors,
            "damaged_frames": video.damaged_frames,
            "inputs": {
                "time_ms": np.array([event.time_ms for event in events], np.int64),
                "kind": np.array([event.kind for event in events], np.uint8),
                "numbers": np.array(
                    [(event.first, event.second) for event in events], np.float32
                ).reshape(-1, 2),
                "bad_lines": inputs.bad_lines,
                "is_timed": inputs.is_timed,
            },
        },
    }


class InputFacts(TypedDict):
    """Digests and sizes of the archive members that were read."""

    digest: str
    """Digest of `members`."""
    members: dict[str, str]
    sizes: dict[str, int]


class ExtractedFile:
    """An open `.pt` file. Tensors are read on demand."""

    def __init__(self, file: PtFile) -> None:
        """Open an extraction; raise Invalid if it has no digest, or is not of this version."""
        if file.digest is None:
            raise Invalid(
                "the digest of the .pt file is missing",
                expected="a file that was extracted by filmgate",
                got="a file without a seal",
                hint="Extract it: filmgate run gameplay --stage extraction --no-skip-existing",
                reason="pt_unsealed",
            )
        self.digest = file.digest
        self._value = file.value
        extension = self._value.get("filmgate") if isinstance(self._value, dict) else None
        version = extension.get("format_version") if isinstance(extension, dict) else None
        if (
            not isinstance(extension, dict)
            or extension.get("format") != FORMAT
            or version != FORMAT_VERSION
        ):
            raise PtUnreadable(
                "the format of the .pt file is not supported",
                expected=f"{FORMAT} {FORMAT_VERSION}",
                got=f"version {version!r}",
                hint="Extract it again: --no-skip-existing",
            )
        self._extension = extension
        if fault := _find_fault(self._value):
            raise PtUnreadable(
                "the contents of the .pt file are invalid",
                expected="the contents of an extraction of this version",
                got=fault,
                hint="Extract it again: --no-skip-existing",
            )

    @property
    def s3_key(self) -> str:
        """Key of the archive that the file was extracted from."""
        return str(self._value["s3_key"])

    @property
    def video_id(self) -> str:
        """Name of the video."""
        return str(self._value["video_id"])

    @property
    def video_metadata(self) -> Mapping[str, Any]:
        """Format and streams, with the field names of ffprobe."""
        return dict(self._value["video_metadata"])

    @property
    def session_metadata(self) -> Mapping[str, JsonValue]:
        """Metadata that the recorder wrote beside the video."""
        return dict(self._value["session_metadata"])

    @property
    def input(self) -> "InputFacts":
        """Digests and sizes of the archive members that were read."""
        stored: InputFacts = self._extension["input"]
        return stored

    @property
    def facts(self) -> Mapping[str, JsonValue]:
        """Settings and program versions of the extraction."""
        return dict(self._extension["extraction"])

    @property
    def remarks(self) -> tuple[str, ...]:
        """Codes of the unusual properties of the recording."""
        return tuple(self._extension["remarks"])

    @property
    def series(self) -> tuple[str, ...]:
        """Names of the series of frames."""
        return tuple(self._value["sampled_frames"])

    def frames(self, series: str, rows: slice = slice(None)) -> "NDArray[np.uint8]":
        """Read frames of a series, (n, 3, h, w) uint8, red green blue. Do not write to the result.

        `rows`: which frames; by default all.
        """
        tensor: Tensor = self._value["sampled_frames"][series]
        return tensor.read(rows).astype("uint8", copy=False)

    def frame_numbers(self, series: str) -> list[int]:
        """Number in the video, from 0, of each frame of a series."""
        return [int(number) for number in self._extension["samples"][series]["frame"]]

    def times_ms(self, series: str) -> list[int]:
        """Presentation time of each frame of a series."""
        return [int(time_ms) for time_ms in self._extension["samples"][series]["time_ms"]]

    @cached_property
    def pts(self) -> "NDArray[np.int64]":
        """(n,): presentation time of every frame of the video, in ticks of the time base."""
        tensor: Tensor = self._extension["time_line"]["pts"]
        return tensor.read().astype("int64", copy=False)

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick."""
        numerator, denominator = self._extension["time_line"]["time_base"]
        return Fraction(numerator, denominator)

    @cached_property
    def change(self) -> "tuple[NDArray[np.int64], NDArray[np.float32]]":
        """(frame numbers, change of each since the frame before, 0 to 255) of decoded frames."""
        stored = self._extension["change"]
        return stored["frame"].read(), stored["luma"].read()

    @cached_property
    def inputs(self) -> InputLog:
        """The input log."""
        stored = self._extension["inputs"]
        times, kinds = stored["time_ms"].read(), stored["kind"].read()
        numbers = stored["numbers"].read()
        rows = zip(times.tolist(), kinds.tolist(), numbers.tolist(), strict=True)
        return InputLog(
            events=tuple(InputEvent(time_ms, kind, *pair) for time_ms, kind, pair in rows),
            bad_lines=int(stored["bad_lines"]),
            is_timed=bool(stored["is_timed"]),
        )


Shape = Mapping[str, Union[type, "Shape"]]

SHAPE: Shape = {
    "s3_key": str,
    "video_id": str,
    "video_metadata": dict,
    "session_metadata": dict,
    "sampled_frames": dict,
    "filmgate": {
        "input": {"digest": str, "members": dict, "sizes": dict},
        "extraction": dict,
        "remarks": list,
        "samples": dict,
        "time_line": {"time_base": list, "pts": Tensor},
        "change": {"frame": Tensor, "luma": Tensor},
        "inputs": {"time_ms": Tensor, "kind": Tensor, "numbers": Tensor, "bad_lines": int},
    },
}
"""Type of each field that checks and reports read, by name."""

FRAME_DIMENSIONS = 4
"""Number of dimensions of a series of frames: n, 3, h, w."""


def _find_fault(value: Any) -> str | None:
    """Describe what is invalid in an extraction; None if it is valid."""
    if fault := _find_shape_fault(SHAPE, value, ""):
        return fault
    frames, samples = value["sampled_frames"], value["filmgate"]["samples"]
    for name, tensor in frames.items():
        sample = samples.get(name)
        is_series = isinstance(tensor, Tensor) and len(tensor.shape) == FRAME_DIMENSIONS
        if not is_series or not isinstance(sample, dict):
            return f"{name} is not a series of frames"
        if any(len(sample.get(field, ())) != tensor.shape[0] for field in ("frame", "time_ms")):
            return f"numbers or times of frames of {name} are missing"
    return None if frames else "no series of frames"


def _find_shape_fault(shape: Shape, value: object, path: str) -> str | None:
    for name, expected_type in shape.items():
        actual = value.get(name) if isinstance(value, dict) else None
        if isinstance(expected_type, type):
            if not isinstance(actual, expected_type):
                return f"{path}{name} is a {type(actual).__name__}"
        elif fault := _find_shape_fault(expected_type, actual, f"{path}{name}."):
            return fault
    return None
