"""Grouping of archive members: into one session, or several samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from filmgate.core.errors import Invalid
from filmgate.tools.tars import Member

VIDEOS = frozenset({".mp4", ".mkv", ".mov", ".webm", ".avi"})
METADATA, INPUTS = "metadata.json", "inputs.csv"


@dataclass(frozen=True, kw_only=True)
class ArchiveSample:
    """A video with its metadata and inputs."""

    name: str | None
    """Name of the sample; None if it is the only one of its archive."""
    video: Member
    metadata: Member
    inputs: Member | None

    @property
    def members(self) -> tuple[Member, ...]:
        """All members of the sample."""
        return tuple(part for part in (self.video, self.metadata, self.inputs) if part is not None)


def group_samples(members: Sequence[Member], *, strict: bool) -> list[ArchiveSample]:
    """Group the members of an archive into samples, in the order of the archive.

    An archive contains one session: a video with `metadata.json` and `inputs.csv` beside it. Or it
    contains several samples, as in WebDataset: videos with a `.json` file, and optionally a `.csv`
    file, of the same name. `strict`: accept only a complete session. Raises Invalid, with a
    `reason`, for anything else.
    """
    by_name = {member.name: member for member in members}
    videos = [member for member in members if PurePosixPath(member.name).suffix.lower() in VIDEOS]
    if not videos:
        raise _invalid_archive("the archive contains no video", "no_video", members)
    if len(videos) == 1:
        return [_single_session(videos[0], by_name, members, strict=strict)]
    if strict:
        raise _invalid_archive("the archive contains several videos", "two_videos", members)
    found = [_named_sample(video, by_name) for video in videos]
    if not any(found):
        raise _invalid_archive("the archive contains several videos", "two_videos", members)
    pairs = zip(videos, found, strict=True)
    if missing := next((video for video, sample in pairs if sample is None), None):
        raise _invalid_archive(f"the metadata of {missing.name} is missing", "no_metadata", members)
    samples = [sample for sample in found if sample is not None]
    if len({sample.name for sample in samples}) < len(samples):
        raise _invalid_archive("two videos have the same name", "two_videos", members)
    return samples


def _single_session(
    video: Member, by_name: dict[str, Member], members: Sequence[Member], *, strict: bool
) -> ArchiveSample:
    folder = PurePosixPath(video.name).parent
    metadata = by_name.get(str(folder / METADATA))
    inputs = by_name.get(str(folder / INPUTS))
    if metadata is None and not strict and (named := _named_sample(video, by_name)) is not None:
        return ArchiveSample(
            name=None, video=video, metadata=named.metadata, inputs=inputs or named.inputs
        )
    if metadata is None:
        raise _invalid_archive("the archive contains no metadata", "no_metadata", members)
    if inputs is None and strict:
        raise _invalid_archive("the archive contains no inputs", "no_inputs", members)
    return ArchiveSample(name=None, video=video, metadata=metadata, inputs=inputs)


def _named_sample(video: Member, by_name: dict[str, Member]) -> ArchiveSample | None:
    """Find the members with the name of a video; None without metadata.

    The name ends before the first dot, as in WebDataset.
    """
    path = PurePosixPath(video.name)
    name = str(path.parent / path.name.partition(".")[0])
    metadata = by_name.get(f"{name}.json")
    inputs = by_name.get(f"{name}.inputs.csv") or by_name.get(f"{name}.csv")
    return metadata and ArchiveSample(name=name, video=video, metadata=metadata, inputs=inputs)


def _invalid_archive(message: str, reason: str, members: Sequence[Member]) -> Invalid:
    names = ", ".join(member.name for member in members[:10])
    return Invalid(
        message,
        expected=f"one video, {METADATA} and {INPUTS}; or samples, each video with a .json of "
        "the same name",
        got=(names + (", …" if len(members) > 10 else "")) or "no files",  # noqa: PLR2004
        reason=reason,
    )
