"""Pages of the documentation: their files, commands, and what they tell the reader to install."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"^```(?:\w+ file=(\S+)|console)\n(.*?)^```$", re.M | re.S)
_PIP = re.compile(r"\bpip install ([^`\n]+)")
_DEMO = "filmgate[demo]"


class PageFile(NamedTuple):
    """A file that the reader writes."""

    path: str
    contents: str


class PageCommand(NamedTuple):
    """A command that the reader types, and the lines that the page shows after it."""

    line: str
    shown: tuple[str, ...]


def list_steps(text: str) -> Iterator[PageFile | PageCommand]:
    """Yield the files and commands of a page in their order.

    Commands of a console block start with `$`. Those of the superuser (`#`) are left out.
    """
    for path, contents in _BLOCK.findall(text):
        if path:
            yield PageFile(path, contents)
        else:
            yield from _list_commands(contents)


def _list_commands(console: str) -> Iterator[PageCommand]:
    lines = [line for line in console.splitlines() if not line.startswith("# ")]
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in pairwise([*starts, len(lines)]):
        yield PageCommand(lines[start].removeprefix("$ "), tuple(lines[start + 1 : end]))


def list_requirements(text: str) -> tuple[str, ...]:
    """Return the requirements that a page tells the reader to install; folders are left out.

    `make demo` installs the extra `demo`. A page without requirements needs only Filmgate itself.
    """
    found = [_DEMO] if "`make demo`" in text else []
    for arguments in _PIP.findall(text):
        words = shlex.split(arguments, comments=True)
        found += [word for word in words if re.match(r"\w", word)]
    return tuple(dict.fromkeys(found or ["filmgate"]))


def matches(shown: str, output: str) -> bool:
    """Whether a line that a page shows is in an output.

    Two spaces and `…` in the line stand for any text; the output has single spaces only.
    """
    parts = [re.escape(" ".join(part.split())) for part in re.split(r"  |…", shown) if part.strip()]
    return re.search(".*?".join(parts), output) is not None
