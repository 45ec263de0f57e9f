"""The descriptor of the episode pipeline: its plan, input and profiles."""

from collections.abc import Iterator
from pathlib import Path

from filmgate.core.people import FaceCluster, FaceClusters
from filmgate.core.pipeline import Input, InputFiles, NextSteps, Pipeline
from filmgate.core.summaries import FinishedRun
from filmgate.pipelines.episode.erasure import ERASURE
from filmgate.pipelines.episode.files import FACE_MODEL, IDENTITIES, REPORT
from filmgate.pipelines.episode.plan import PLAN, PROFILES
from filmgate.pipelines.episode.records import FaceModel, Identity
from filmgate.pipelines.episode.sample import SAMPLE
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


def read_face_clusters(run: FinishedRun) -> FaceClusters:
    """Return the clusters of faces of a run; raises NotFound if it has none."""
    model = run.read(FACE_MODEL.schema, FaceModel)
    identities = run.read_lines(IDENTITIES.schema, Identity)
    return FaceClusters(
        producer=model.producer,
        clusters=tuple(
            FaceCluster(
                cluster_id=identity.identity_id,
                vector=identity.vector,
                vector_sha256=identity.vector_sha256,
            )
            for identity in identities
        ),
    )


def next_steps(run: NextSteps) -> Iterator[str]:
    """Yield queries that have an answer in the results of a run."""
    asset, ingested = run.manifest.asset.id, run.ingested or {}
    if ingested.get("scene", 0) > 1:
        yield f"filmgate jump {asset} --kind scene"
    if ingested.get("transcript.segment", 0):
        yield f"filmgate find {asset} WORDS"
    if ingested.get("screentime.segment", 0):
        yield f"filmgate screentime {asset}"


EPISODE = Pipeline(
    plan=PLAN,
    inputs=Input(what="a video on this machine", takes_uploads=True),
    admit=open_input,
    profiles=PROFILES,
    summaries=(SUMMARY,),
    sample=SAMPLE,
    report=REPORT.path,
    next_steps=next_steps,
    face_clusters=read_face_clusters,
    erasure=ERASURE,
    made_legacy_runs=True,
)
