"""Which members of an archive belong together: one session, or several samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from filmgate.core.errors import Invalid
from filmgate.tools.tars import Member

VIDEOS = frozenset({".mp4", ".mkv", ".mov", ".webm", ".avi"})
METADATA, INPUTS = "metadata.json", "inputs.csv"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A video, and what belongs to it."""

    name: str | None
    """What it is called among several; None where it is the only one."""
    video: Member
    metadata: Member
    inputs: Member | None

    @property
    def members(self) -> tuple[Member, ...]:
        """All of it."""
        return tuple(each for each in (self.video, self.metadata, self.inputs) if each is not None)


def samples(members: Sequence[Member], *, strict: bool) -> list[Sample]:
    """The samples of an archive, in its order.

    A session: one video with `metadata.json` and `inputs.csv` beside it. Or samples as WebDataset
    has them: each video with a `.json` of its own name, perhaps a `.csv`. `strict`: a whole
    session only. Raises Invalid, with a `reason`, for anything else.
    """
    by_name = {each.name: each for each in members}
    videos = [each for each in members if PurePosixPath(each.name).suffix.lower() in VIDEOS]
    if not videos:
        raise _refused("there is no video in it", "no_video", members)
    if len(videos) == 1:
        return [_session(videos[0], by_name, members, strict=strict)]
    if strict:
        raise _refused("there are several videos in it", "two_videos", members)
    found = [_of_several(each, by_name) for each in videos]
    if not any(found):
        raise _refused("there are several videos in it", "two_videos", members)
    if missing := next((v for v, each in zip(videos, found, strict=True) if each is None), None):
        raise _refused(f"{missing.name} has no metadata", "no_metadata", members)
    named = [each for each in found if each is not None]
    if len({each.name for each in named}) < len(named):
        raise _refused("two videos go by one name", "two_videos", members)
    return named


def _session(
    video: Member, by_name: dict[str, Member], members: Sequence[Member], *, strict: bool
) -> Sample:
    folder = PurePosixPath(video.name).parent
    metadata = by_name.get(str(folder / METADATA))
    inputs = by_name.get(str(folder / INPUTS))
    if metadata is None and not strict and (alone := _of_several(video, by_name)) is not None:
        return Sample(
            name=None, video=video, metadata=alone.metadata, inputs=inputs or alone.inputs
        )
    if metadata is None:
        raise _refused("there is no metadata in it", "no_metadata", members)
    if inputs is None and strict:
        raise _refused("there are no inputs in it", "no_inputs", members)
    return Sample(name=None, video=video, metadata=metadata, inputs=inputs)


def _of_several(video: Member, by_name: dict[str, Member]) -> Sample | None:
    """A video with what has its name: up to the first dot, as WebDataset reads names."""
    path = PurePosixPath(video.name)
    name = str(path.parent / path.name.partition(".")[0])
    metadata = by_name.get(f"{name}.json")
    inputs = by_name.get(f"{name}.inputs.csv") or by_name.get(f"{name}.csv")
    return metadata and Sample(name=name, video=video, metadata=metadata, inputs=inputs)


def _refused(message: str, reason: str, members: Sequence[Member]) -> Invalid:
    names = ", ".join(each.name for each in members[:10])
    return Invalid(
        message,
        expected=f"one video, {METADATA} and {INPUTS}; or samples, each video with a .json of "
        "its own name",
        got=(names + (", …" if len(members) > 10 else "")) or "no files",  # noqa: PLR2004
        reason=reason,
    )
