"""The descriptor of the episode pipeline: its plan, input and profiles."""

from pathlib import Path

from filmgate.core.pipeline import InputFiles, Pipeline
from filmgate.pipelines.episode.plan import PLAN, PROFILES
from filmgate.pipelines.episode.summary import SUMMARY
from filmgate.tools.containers import inspect
from filmgate.tools.subtitles import find_side_car


def open_input(video: Path) -> InputFiles:
    """Open a video or audio file, with the subtitle file beside it.

    Raises Invalid or NotFound for anything else.
    """
    facts = inspect(video)
    files = {path.name: path for path in (video, find_side_car(video)) if path is not None}
    media = {
        "format": facts.format,
        "video": facts.video.codec if facts.video else None,
        "audio": [track.codec for track in facts.audio],
        "subtitles": [track.codec for track in facts.subtitles],
    }
    return InputFiles(files=files, media=media)


EPISODE = Pipeline(
    plan=PLAN,
    admit=open_input,
    profiles=PROFILES,
    summaries=(SUMMARY,),
)
