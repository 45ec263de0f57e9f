"""The rulebook pipeline as a whole: its plan, the uploads it takes, and its profiles."""

import os
from collections.abc import Iterator
from pathlib import Path

from filmgate.core.errors import ExitCode, Invalid, NotFound, NotPermitted
from filmgate.core.ids import Layout
from filmgate.core.pipeline import Admitted, Pipeline
from filmgate.pipelines.rulebook.plan import PLAN, PROFILES

MAX_UPLOADS = 10_000


def admit(uploads: Path) -> Admitted:
    """A folder of books, or one book. Every file in it counts, in folders below too, but hidden
    ones; what is no book is refused by pass A.

    Raises NotFound where there is nothing, NotPermitted where a file or a folder may not be read,
    Invalid where there is no file, or one leads outside.
    """
    if not uploads.exists():
        raise NotFound(
            f"no uploads in {str(uploads)!r}",
            expected="a folder of books, or a book",
            got="nothing",
        )
    if uploads.is_file():
        _check_readable(uploads)
        return Admitted(files={uploads.name: uploads}, is_collection=True)
    files = dict(sorted(_files(uploads)))
    if not 0 < len(files) <= MAX_UPLOADS:
        raise Invalid(
            f"no books in {str(uploads)!r}" if not files else f"too many files in {uploads}",
            expected=f"1 to {MAX_UPLOADS} files",
            got=str(len(files)),
            hint="Put PDF, EPUB, HTML, Markdown or text files into it",
        )
    for path in files.values():
        _check_readable(path)
    return Admitted(files=files, is_collection=True)


def _files(uploads: Path) -> Iterator[tuple[str, Path]]:
    root = uploads.resolve()

    def refuse(error: OSError) -> None:
        raise _not_permitted(Path(str(error.filename or uploads)), error) from error

    for folder, below, names in os.walk(uploads, onerror=refuse):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in names:
            path = Path(folder) / name
            if name.startswith("."):
                continue
            if not path.resolve().is_relative_to(root):
                raise Invalid(
                    f"{path} leads out of the uploads",
                    expected="files below the folder",
                    got=f"a link to {path.resolve()}",
                    hint="Copy the file itself into the folder",
                )
            if path.is_file():
                yield str(path.relative_to(uploads)), path


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except PermissionError as error:
        raise _not_permitted(path, error) from error


def _not_permitted(path: Path, error: OSError) -> NotPermitted:
    return NotPermitted(
        f"{path} may not be read",
        expected="uploads that this user may read",
        got=error.strerror or str(error),
        hint=f"chmod -R u+rX {path}, or run as who may",
    )


RULEBOOK = Pipeline(
    plan=PLAN,
    admit=admit,
    profiles=PROFILES,
    layout=Layout.JOB,
    refused=ExitCode.BAD_INPUT,
)
