"""The sample inputs of the demo."""

from pathlib import Path

from filmgate.core.progress import ProgressCallback
from filmgate.tools.sample_book import typeset_book
from filmgate.tools.sample_film import compose_film
from filmgate.tools.sample_sessions import draw_sessions

FILM = "gatecheck-s01e01.mp4"
BOOK = "lanterns.pdf"


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
