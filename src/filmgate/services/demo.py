"""The demo: write sample inputs, run a pipeline on the sample film, query the artifacts."""

from dataclasses import dataclass
from pathlib import Path

from filmgate.core.answers import FindAnswer, JumpAnswer, ScreentimeAnswer
from filmgate.core.envelope import Envelope, LegacyArtifact
from filmgate.core.ports import Observer
from filmgate.core.questions import Direction, JumpKind, TextSource
from filmgate.services.queries import Queries
from filmgate.services.run_options import RunOptions, RunReport
from filmgate.services.runs import ProgressCallback, Runs
from filmgate.tools.sample_book import typeset_book
from filmgate.tools.sample_film import compose_film
from filmgate.tools.sample_sessions import draw_sessions

FILM = "gatecheck-s01e01.mp4"
BOOK = "lanterns.pdf"
WORDS = "compiler or rocket"
TITLE = "hopper"
FROM_MS = 9_000


@dataclass(frozen=True, kw_only=True)
class DemoReport:
    """The run of the demo, and the answers to its queries."""

    film: Path
    run: RunReport
    scenes: tuple[Envelope | LegacyArtifact, ...]
    people: ScreentimeAnswer
    found: FindAnswer
    """Hits for `WORDS` in the transcript."""
    shown: FindAnswer
    """Hits for `TITLE` in text on screen."""
    jumped: JumpAnswer
    """The first scene after `FROM_MS`."""


def ensure_film(home: Path, report_progress: ProgressCallback) -> Path:
    """Return the path of the sample film in this home; write the film if it is missing."""
    path = home / "demo" / FILM
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        compose_film(path, report_progress)
    return path


def ensure_book(home: Path) -> Path:
    """Return the folder of the sample book in this home; write the book if it is missing."""
    path = home / "demo" / "books" / BOOK
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        typeset_book(draft)
        draft.replace(path)
    return path.parent


def ensure_sessions(home: Path, report_progress: ProgressCallback) -> Path:
    """Return the task list of the sample sessions in this home; create both if they are missing.

    The sessions are in the folder `game-data` beside the task list.
    """
    folder = home / "demo" / "game-data"
    task_list = folder.parent / "task_list.txt"
    if not task_list.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draw_sessions(folder, report_progress)
        keys = sorted(path.name for path in folder.glob("*.tar"))
        task_list.write_text("# the sample sessions\n" + "".join(f"{key}\n" for key in keys))
    return task_list


def run_demo(
    runs: Runs,
    queries: Queries,
    film: Path,
    observer: Observer,
    report_hashed: ProgressCallback,
) -> DemoReport:
    """Run the episode pipeline on the film as a new run, ingest the run, then query it."""
    report = runs.run("episode", film, RunOptions(new=True, jobs=2), observer, report_hashed)
    asset = report.manifest.asset.id
    with queries.keep_running():
        return DemoReport(
            film=film,
            run=report,
            scenes=queries.artifacts(asset, artifact_types=["scene"]).artifacts,
            people=queries.screentime(asset),
            found=queries.find(asset, WORDS),
            shown=queries.find(asset, TITLE, source=TextSource.OCR),
            jumped=queries.jump(asset, JumpKind.SCENE, direction=Direction.NEXT, from_ms=FROM_MS),
        )
