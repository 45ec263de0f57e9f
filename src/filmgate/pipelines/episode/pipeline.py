"""The episode pipeline as a whole: its plan, what it takes, and its profiles."""

from pathlib import Path

from filmgate.core.pipeline import Admitted, Pipeline
from filmgate.pipelines.episode.plan import PLAN, PROFILES
from filmgate.tools.containers import inspect
from filmgate.tools.subtitles import side_car_of


def admit(video: Path) -> Admitted:
    """A video or sound file, with the subtitles beside it; Invalid or NotFound for others."""
    facts = inspect(video)
    files = {path.name: path for path in (video, side_car_of(video)) if path is not None}
    media = {
        "format": facts.format,
        "video": facts.video.codec if facts.video else None,
        "audio": [track.codec for track in facts.audio],
        "subtitles": [track.codec for track in facts.subtitles],
    }
    return Admitted(files=files, media=media)


EPISODE = Pipeline(
    plan=PLAN,
    admit=admit,
    profiles=PROFILES,
)
