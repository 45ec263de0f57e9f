"""The sample of the episode pipeline: a film with people, and questions about it."""

from collections.abc import Iterator
from pathlib import Path

from filmgate.core.pipeline import Sample, SampleRun, Step
from filmgate.core.progress import ProgressCallback
from filmgate.core.questions import JumpKind, TextSource
from filmgate.tools.sample_film import compose_film

FILM = "gatecheck-s01e01.mp4"
WORDS = "compiler or rocket"
TITLE = "hopper"
FROM_MS = 9_000


def make_film(folder: Path, report_progress: ProgressCallback) -> Path:
    """Return the path of the sample film; write the film if it is missing."""
    path = folder / FILM
    if not path.exists():
        compose_film(path, report_progress)
    return path


def _ask_questions(run: SampleRun) -> Iterator[Step]:
    asset = run.manifest.asset.id
    for command, name, parameters in (
        (f"artifacts {asset} --type scene", "artifacts", {"type": ["scene"]}),
        (f"find {asset} {WORDS}", "find", {"q": WORDS}),
        (f"find {asset} --source ocr {TITLE}", "find", {"q": TITLE, "source": TextSource.OCR}),
        (f"screentime {asset}", "screentime", {}),
        (
            f"jump {asset} --kind scene --from-ms {FROM_MS}",
            "jump",
            {"kind": JumpKind.SCENE, "from_ms": FROM_MS},
        ),
    ):
        yield Step(command=command, name=name, parameters={"asset_id": asset, **parameters})


def _closing(run: SampleRun) -> Iterator[tuple[str, str]]:
    asset = run.manifest.asset.id
    yield "the report", f"{run.folder}/exports/run_debug.pdf"
    yield "name a person", f'filmgate people name c1 "Eileen Collins" --in {asset}'
    yield "your own video", "filmgate run episode VIDEO"
    yield "all your runs", "filmgate status"


SAMPLE = Sample(
    what="a film with people",
    make=make_film,
    workers=2,
    steps=_ask_questions,
    closing=_closing,
)
