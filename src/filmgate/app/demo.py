"""The demo: compose the sample film once, run the whole pipeline on it, ask it questions."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filmgate.app.archive import Archive
from filmgate.app.run_options import RunOptions, RunReport
from filmgate.app.system import System
from filmgate.core.answers import FindAnswer, JumpAnswer, ScreentimeAnswer
from filmgate.core.envelope import Envelope, LegacyArtifact
from filmgate.core.ports import Observer
from filmgate.core.questions import Direction, JumpKind, TextSource
from filmgate.tools.demo_film import compose

FILM = "gatecheck-s01e01.mp4"
BOOK = "lanterns.pdf"
WORDS = "compiler or rocket"
TITLE = "hopper"
FROM_MS = 9_000


@dataclass(frozen=True, kw_only=True)
class DemoReport:
    """What the demo did and learned."""

    film: Path
    run: RunReport
    scenes: tuple[Envelope | LegacyArtifact, ...]
    people: ScreentimeAnswer
    found: FindAnswer
    shown: FindAnswer
    jumped: JumpAnswer


def film_in(home: Path, told: Callable[[float, float], None]) -> Path:
    """The sample film in this home, composed where it is not there yet."""
    path = home / "demo" / FILM
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        compose(path, told)
    return path


def book_in(home: Path) -> Path:
    """The folder with the sample book in this home, typeset where it is not there yet."""
    from filmgate.tools.demo_book import compose as typeset  # not every demonstration needs it

    path = home / "demo" / "books" / BOOK
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        typeset(draft)
        draft.replace(path)
    return path.parent


def sessions_in(home: Path, told: Callable[[float, float], None]) -> Path:
    """The task list of the sample sessions in this home, which lie beside it; drawn where they
    are not there yet."""
    from filmgate.tools.demo_sessions import compose as draw  # not every demonstration needs it

    folder = home / "demo" / "game-data"
    listed = folder.parent / "task_list.txt"
    if not listed.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draw(folder, told)
        keys = sorted(path.name for path in folder.glob("*.tar"))
        listed.write_text("# the sample sessions\n" + "".join(f"{key}\n" for key in keys))
    return listed


def run_demo(
    system: System,
    archive: Archive,
    film: Path,
    observer: Observer,
    hashed: Callable[[float, float], None],
) -> DemoReport:
    """Run the pipeline on the film as a new run, take it in, then find and jump in it."""
    report = system.run("episode", film, RunOptions(new=True, jobs=2), observer, hashed)
    asset = report.manifest.asset.id
    with archive.lasting():
        return DemoReport(
            film=film,
            run=report,
            scenes=archive.artifacts(asset, artifact_types=["scene"]).artifacts,
            people=archive.screentime(asset),
            found=archive.find(asset, WORDS),
            shown=archive.find(asset, TITLE, source=TextSource.OCR),
            jumped=archive.jump(asset, JumpKind.SCENE, direction=Direction.NEXT, from_ms=FROM_MS),
        )
