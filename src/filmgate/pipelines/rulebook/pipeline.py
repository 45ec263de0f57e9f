"""The rulebook pipeline: its plan, its input and its profiles."""

import os
from collections.abc import Iterator
from pathlib import Path

from filmgate.core.command import CommandLine
from filmgate.core.errors import ExitCode, Invalid, NotFound, NotPermitted
from filmgate.core.ids import Layout
from filmgate.core.os_errors import permission_error
from filmgate.core.pipeline import Input, InputFiles, InputKind, NextSteps, Pipeline
from filmgate.pipelines.rulebook.actions import REMOVE_BOOK
from filmgate.pipelines.rulebook.contracts import CORPUS
from filmgate.pipelines.rulebook.corpus.summary import CHUNKS_LABEL, SUMMARY, earlier_editions
from filmgate.pipelines.rulebook.options import RulebookOptions
from filmgate.pipelines.rulebook.pass_a import REFUSED
from filmgate.pipelines.rulebook.plan import PLAN, PROFILES
from filmgate.pipelines.rulebook.queries import ASK, BOOKS
from filmgate.pipelines.rulebook.sample import SAMPLE

MAX_UPLOADS = 10_000


def open_uploads(uploads: Path) -> InputFiles:
    """Find the input files of a run: all files of a folder and its subfolders, or one file.

    Hidden files are ignored. Files that are not books are refused by pass A.

    Raises NotFound if `uploads` does not exist, NotPermitted if a file or a folder cannot be read,
    Invalid for an empty folder or more than `MAX_UPLOADS` files.
    """
    if not uploads.exists():
        raise NotFound(
            f"the uploads folder {str(uploads)!r} does not exist",
            expected="a folder of books, or a book",
            got="nothing",
        )
    if uploads.is_file():
        _check_readable(uploads)
        return InputFiles(files={uploads.name: uploads}, is_collection=True)
    found = dict(sorted(_list_uploads(uploads)))
    refused = {name: reason for name, (_, reason) in found.items() if reason is not None}
    files = {name: path for name, (path, reason) in found.items() if reason is None}
    if not 0 < len(files) <= MAX_UPLOADS:
        raise Invalid(
            f"{str(uploads)!r} contains no books" if not files else f"too many files in {uploads}",
            expected=f"1 to {MAX_UPLOADS} files",
            got=next(iter(refused.values()), str(len(files))),
            hint="Put PDF, EPUB, HTML, Markdown or text files into the folder",
        )
    for path in files.values():
        _check_readable(path)
    return InputFiles(files=files, media={REFUSED: refused} if refused else {}, is_collection=True)


def _list_uploads(uploads: Path) -> Iterator[tuple[str, tuple[Path, str | None]]]:
    """Yield (name, (path, reason for refusal or None)) of all entries that are not hidden."""
    root = uploads.resolve()

    def raise_not_permitted(error: OSError) -> None:
        raise _not_permitted(Path(str(error.filename or uploads)), error) from error

    for folder, subfolders, names in os.walk(uploads, onerror=raise_not_permitted):
        linked = [name for name in subfolders if (Path(folder) / name).is_symlink()]
        subfolders[:] = sorted(n for n in subfolders if not n.startswith(".") and n not in linked)
        for name in [*names, *linked]:
            path = Path(folder) / name
            if name.startswith("."):
                continue
            relative = str(path.relative_to(uploads))
            if relative.isprintable():
                yield relative, (path, _refusal_reason(path, root))
            else:
                yield ascii(relative), (path, "a name with unprintable characters")


def _refusal_reason(path: Path, root: Path) -> str | None:
    """Return why an entry of the uploads is refused; None for a file inside the folder."""
    try:
        is_inside = path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):
        return "a link to itself"
    if not is_inside:
        return "a link that points outside the uploads"
    if path.is_dir():
        return "a link to a folder"
    if path.is_file():
        return None
    return "a pipe, a socket or a device" if path.exists() else "a link whose target does not exist"


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except PermissionError as error:
        raise _not_permitted(path, error) from error


def _not_permitted(path: Path, error: OSError) -> NotPermitted:
    return permission_error(
        path,
        got=error.strerror or str(error),
        hint=f"Run `chmod -R u+rX {path}`, or run filmgate as a user who may read it",
    )


def next_steps(run: NextSteps) -> Iterator[str]:
    """Yield the command that asks the corpus, if the run wrote passages to it."""
    if (run.ingested or {}).get(CHUNKS_LABEL, 0):
        yield f'filmgate {ASK.name} "YOUR QUESTION" --env {run.manifest.env}'


RULEBOOK = Pipeline(
    plan=PLAN,
    inputs=Input(
        kind=InputKind.FOLDER,
        what="--uploads DIR: a folder of books, or one book, on this machine",
        line=CommandLine(
            names=("--uploads",),
            metavar="DIR",
            help="Folder of books, or one book. Not needed to resume a run.",
        ),
    ),
    options=RulebookOptions,
    admit=open_uploads,
    profiles=PROFILES,
    layout=Layout.JOB,
    summaries=(SUMMARY,),
    snapshots={CORPUS: earlier_editions},
    migrations="filmgate.pipelines.rulebook:migrations",
    refused=ExitCode.BAD_INPUT,
    queries=(ASK, BOOKS),
    actions=(REMOVE_BOOK,),
    sample=SAMPLE,
    next_steps=next_steps,
)
