"""The rulebook pipeline as a whole: its plan, the uploads it takes, and its profiles."""

import os
from collections.abc import Iterator
from pathlib import Path

from filmgate.core.errors import ExitCode, Invalid, NotFound, NotPermitted
from filmgate.core.ids import Layout
from filmgate.core.pipeline import Admitted, Pipeline
from filmgate.pipelines.rulebook.pass_a import REFUSED
from filmgate.pipelines.rulebook.plan import PLAN, PROFILES

MAX_UPLOADS = 10_000


def admit(uploads: Path) -> Admitted:
    """A folder of books, or one book. Every file in it counts, in folders below too, but hidden
    ones; what is no book is refused by pass A.

    Raises NotFound where there is nothing, NotPermitted where a file or a folder may not be read,
    Invalid where there is no file.
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
    found = dict(sorted(_files(uploads)))
    refused = {name: why for name, (_, why) in found.items() if why is not None}
    files = {name: path for name, (path, why) in found.items() if why is None}
    if not 0 < len(files) <= MAX_UPLOADS:
        raise Invalid(
            f"no books in {str(uploads)!r}" if not files else f"too many files in {uploads}",
            expected=f"1 to {MAX_UPLOADS} files",
            got=next(iter(refused.values()), str(len(files))),
            hint="Put PDF, EPUB, HTML, Markdown or text files into it",
        )
    for path in files.values():
        _check_readable(path)
    return Admitted(files=files, media={REFUSED: refused} if refused else {}, is_collection=True)


def _files(uploads: Path) -> Iterator[tuple[str, tuple[Path, str | None]]]:
    """(name, (path, why it is refused)) of all that lies there, but for what is hidden."""
    root = uploads.resolve()

    def refuse(error: OSError) -> None:
        raise _not_permitted(Path(str(error.filename or uploads)), error) from error

    for folder, below, names in os.walk(uploads, onerror=refuse):
        linked = [name for name in below if (Path(folder) / name).is_symlink()]
        below[:] = sorted(n for n in below if not n.startswith(".") and n not in linked)
        for name in [*names, *linked]:
            path = Path(folder) / name
            if name.startswith("."):
                continue
            below_root = str(path.relative_to(uploads))
            if below_root.isprintable():
                yield below_root, (path, _why_not(path, root))
            else:
                yield ascii(below_root), (path, "a name that cannot be written down")


def _why_not(path: Path, root: Path) -> str | None:
    """Why something in the uploads is not read; None where it is a file in there."""
    try:
        is_inside = path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):
        return "a link to itself"
    if not is_inside:
        return "a link that leads out of the uploads"
    if path.is_dir():
        return "a link to a folder"
    if path.is_file():
        return None
    return "a pipe, a socket or a device" if path.exists() else "a link to nothing"


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
