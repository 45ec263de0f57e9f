"""What the benchmark has to know of a tool."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from peers.place import Place
from peers.workloads.chain import COUNT

Command = Sequence[str]


@dataclass(frozen=True)
class Form:
    """How a tool's stored files hold numbers. Both raise ValueError where they cannot."""

    decode: Callable[[bytes], list[int]]
    encode: Callable[[list[int], bytes], bytes]
    """The numbers in the form of the stored file that is given too."""


JSON_LIST = Form(decode=json.loads, encode=lambda numbers, _: json.dumps(numbers).encode())


def nothing(place: Place) -> None:
    """A tool that needs no project around the chain."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One tool, and the variant of it that is measured."""

    name: str
    requirements: tuple[str, ...] = ()
    """What pip installs; none for what runs in the environment that we run in."""
    distribution: str = ""
    """Whose version is told."""
    how: str
    """The variant, in a sentence or two."""
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Place], None] = nothing
    """Make the project around the chain; not timed."""
    run: Callable[[Place], Command]
    """The command of a first run, and of every run after it."""
    run_from: Callable[[Place, int], Command] | None = None
    """The tool's way to run only from a step on."""
    from_told: str
    """That way in words, or why there is none."""
    recover: Callable[[Place], Command] | None = None
    """What the documentation says to do after a crash, where that is not the same command."""
    recover_told: str = "the same command"
    stored: Callable[[Place], list[Path]]
    """The files that may hold numbers of steps."""
    final: Callable[[Place], Path | None]
    """Where the result of the last whole run is."""
    form: Form = JSON_LIST
    final_form: Form = JSON_LIST
    halts_at: str
    """A regular expression for the path, within the place, of what a step writes."""
    is_timed: bool = True

    @property
    def folder(self) -> str:
        """The name of its environment."""
        return self.distribution if self.requirements else "own"

    def file_of(self, place: Place, step: int) -> Path | None:
        """The stored file that holds the right numbers of a step."""
        for path in self.stored(place):
            if self.numbers(path) == right(step):
                return path
        return None

    def numbers(self, path: Path) -> list[int] | None:
        """What a stored file holds; None where it cannot be read."""
        return _decoded(self.form, path)

    def result(self, place: Place) -> tuple[bytes, list[int] | None] | None:
        """The bytes and the numbers of the last whole run; None where there is none."""
        path = self.final(place)
        if path is None or not path.exists():
            return None
        return path.read_bytes(), _decoded(self.final_form, path)


def right(step: int) -> list[int]:
    """The numbers that a step has to make."""
    return list(range(step + 1, step + 1 + COUNT))


def files(place: Place, pattern: str) -> list[Path]:
    """The files of a place that match a pattern."""
    return sorted(path for path in place.folder.glob(pattern) if path.is_file())


def _decoded(form: Form, path: Path) -> list[int] | None:
    try:
        return form.decode(path.read_bytes())
    except Exception:  # noqa: BLE001 - a damaged pickle may raise anything
        return None
