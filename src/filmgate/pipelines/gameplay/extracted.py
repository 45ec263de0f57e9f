"""What a `.pt` file holds: `ExtractedData`, and beside it how it came about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from filmgate.core.errors import Invalid
from filmgate.core.gameplay import plain
from filmgate.pipelines.gameplay.rules.inputs import Event, Inputs
from filmgate.tools.sampling import SampledVideo
from filmgate.tools.torch_files.reading import UNREADABLE, UNSEALED, PtFile, Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = "filmgate.extracted"
FORMAT_VERSION = 1

EXTRACTED_DATA = ("s3_key", "video_id", "video_metadata", "session_metadata", "sampled_frames")
"""The fields of `ExtractedData`, as the public pipeline for game sessions has them."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where an extraction came from."""

    s3_key: str
    video_id: str
    sizes: Mapping[str, int]
    """In bytes, by name, of the members that were read."""
    members: Mapping[str, str]
    """`sha256:…` by name, of the same."""
    digest: str
    """`sha256:…` of these."""


def value_of(
    origin: Origin,
    video: SampledVideo,
    session_metadata: Mapping[str, Any],
    inputs: Inputs,
    facts: Mapping[str, Any],
    remarks: Sequence[str],
) -> dict[str, Any]:
    """What is written into a `.pt` file."""
    import numpy as np  # heavy

    events = inputs.events
    return {
        "s3_key": origin.s3_key,
        "video_id": origin.video_id,
        "video_metadata": plain(video.metadata),
        "session_metadata": plain(session_metadata),
        "sampled_frames": {name: series.frames for name, series in video.series.items()},
        "filmgate": {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "input": {
                "digest": origin.digest,
                "members": dict(origin.members),
                "sizes": dict(origin.sizes),
            },
            "extraction": plain(facts),
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
                "time_ms": np.array([each.time_ms for each in events], np.int64),
                "kind": np.array([each.kind for each in events], np.uint8),
                "numbers": np.array(
                    [(each.first, each.second) for each in events], np.float32
                ).reshape(-1, 2),
                "bad_lines": inputs.bad_lines,
                "is_timed": inputs.is_timed,
            },
        },
    }


class Extracted:
    """A `.pt` file that is open. Tensors are read when they are asked for."""

    def __init__(self, file: PtFile) -> None:
        """Raises Invalid where it has no seal, or is none of ours."""
        if file.digest is None:
            raise Invalid(
                "the .pt file has no digest",
                expected="one that was extracted by filmgate",
                got="one without a seal",
                hint="Extract it: filmgate run gameplay --stage extraction --no-skip-existing",
                reason=UNSEALED,
            )
        self.digest = file.digest
        self._value = file.value
        own = self._value.get("filmgate") if isinstance(self._value, dict) else None
        version = own.get("format_version") if isinstance(own, dict) else None
        if not isinstance(own, dict) or own.get("format") != FORMAT or version != FORMAT_VERSION:
            raise Invalid(
                "the .pt file is not of this version",
                expected=f"{FORMAT} {FORMAT_VERSION}",
                got=f"version {version!r}",
                hint="Extract it again: --no-skip-existing",
                reason=UNREADABLE,
            )
        self._own = own
        if fault := _fault(self._value):
            raise Invalid(
                "the .pt file is not as it should be",
                expected="what an extraction of this version holds",
                got=fault,
                hint="Extract it again: --no-skip-existing",
                reason=UNREADABLE,
            )

    @property
    def s3_key(self) -> str:
        """The archive it came from."""
        return str(self._value["s3_key"])

    @property
    def video_id(self) -> str:
        """What the video goes by."""
        return str(self._value["video_id"])

    @property
    def video_metadata(self) -> Mapping[str, Any]:
        """Format and streams, in the names of ffprobe."""
        return dict(self._value["video_metadata"])

    @property
    def session_metadata(self) -> Mapping[str, Any]:
        """What the recorder wrote beside the video."""
        return dict(self._value["session_metadata"])

    @property
    def input(self) -> Mapping[str, Any]:
        """Digest of what was read, and of each member."""
        return dict(self._own["input"])

    @property
    def facts(self) -> Mapping[str, Any]:
        """With which settings and programs it was extracted."""
        return dict(self._own["extraction"])

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is unusual about it."""
        return tuple(self._own["remarks"])

    @property
    def series(self) -> tuple[str, ...]:
        """The names of the series of frames."""
        return tuple(self._value["sampled_frames"])

    def frames(self, series: str, rows: slice = slice(None)) -> "NDArray[np.uint8]":
        """(n, 3, h, w) uint8, red green blue; some of them, or all. Do not write to it."""
        tensor: Tensor = self._value["sampled_frames"][series]
        return tensor.read(rows).astype("uint8", copy=False)

    def frame_numbers(self, series: str) -> list[int]:
        """0-based, of each frame of a series."""
        return [int(each) for each in self._own["samples"][series]["frame"]]

    def times_ms(self, series: str) -> list[int]:
        """When each frame of a series is first shown."""
        return [int(each) for each in self._own["samples"][series]["time_ms"]]

    @cached_property
    def pts(self) -> "NDArray[np.int64]":
        """(n,) of every frame of the video, in ticks of the time base."""
        return self._own["time_line"]["pts"].read().astype("int64", copy=False)  # type: ignore[no-any-return]

    @property
    def time_base(self) -> Fraction:
        """Seconds a tick."""
        above, below = self._own["time_line"]["time_base"]
        return Fraction(above, below)

    @cached_property
    def change(self) -> "tuple[NDArray[np.int64], NDArray[np.float32]]":
        """(frames, how much each changed since the one before, 0 to 255), of those decoded."""
        told = self._own["change"]
        return told["frame"].read(), told["luma"].read()

    @cached_property
    def inputs(self) -> Inputs:
        """What was pressed."""
        told = self._own["inputs"]
        times, kinds = told["time_ms"].read(), told["kind"].read()
        numbers = told["numbers"].read()
        rows = zip(times.tolist(), kinds.tolist(), numbers.tolist(), strict=True)
        return Inputs(
            events=tuple(Event(at, kind, *pair) for at, kind, pair in rows),
            bad_lines=int(told["bad_lines"]),
            is_timed=bool(told["is_timed"]),
        )


SHAPE: Mapping[str, Any] = {
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
"""What checks and reports rely on."""

FRAME_DIMENSIONS = 4


def _fault(value: Any) -> str | None:
    """What is not as it should be in an extraction; None where everything is."""
    if fault := _unlike(SHAPE, value, ""):
        return fault
    frames, samples = value["sampled_frames"], value["filmgate"]["samples"]
    for name, tensor in frames.items():
        told = samples.get(name)
        is_series = isinstance(tensor, Tensor) and len(tensor.shape) == FRAME_DIMENSIONS
        if not is_series or not isinstance(told, dict):
            return f"{name} is no series of frames"
        if any(len(told.get(each, ())) != tensor.shape[0] for each in ("frame", "time_ms")):
            return f"{name} has not a number and a time for each frame"
    return None if frames else "no series of frames"


def _unlike(shape: Mapping[str, Any], value: Any, place: str) -> str | None:
    for name, wanted in shape.items():
        held = value.get(name) if isinstance(value, dict) else None
        if isinstance(wanted, dict):
            if fault := _unlike(wanted, held, f"{place}{name}."):
                return fault
        elif not isinstance(held, wanted):
            return f"{place}{name} is a {type(held).__name__}"
    return None
