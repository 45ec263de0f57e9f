"""What a tool makes of a stored file that somebody tampered with, and of a crash."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from peers.bench import SHORT, Site, green
from peers.peer import Command, Form, Peer, right
from peers.place import Ended, Place, ToolFailedError, last_words
from peers.tampering import cut, delete, flip

STEP = 3
"""Step k, of 0 to 5: the file of step 2 is tampered with, and step 3 is the one killed."""

TAMPERINGS: dict[str, Callable[[Path, Form], None]] = {"cut": cut, "flip": flip, "delete": delete}
CASES = (*TAMPERINGS, "kill")


class Outcome(StrEnum):
    """How a case came out."""

    REFUSED = "refused"
    REPAIRED = "repaired"
    WRONG_RESULT = "**wrong result**"
    WRONG_UPSTREAM = "**wrong upstream**"
    LEFT_MISSING = "left missing"
    NOT_APPLICABLE = "n/a"


@dataclass(frozen=True)
class Finding:
    """One cell of the matrix."""

    outcome: Outcome
    ran: tuple[int, ...] = ()
    """The steps that did their work afterwards."""
    words: str = ""
    """What the tool said last where it refused, or why there is no outcome."""

    def __str__(self) -> str:
        steps = ", ".join(map(str, self.ran))
        return f"{self.outcome.value} ({steps})" if steps else self.outcome.value


def examine(peer: Peer, site: Site, case: str, *, only_from: bool) -> Finding:
    """One case in a fresh place: the tool's natural run again, or its way to run from step k."""
    if only_from and case != "kill" and peer.run_from is None:
        return Finding(Outcome.NOT_APPLICABLE, words=peer.from_told)
    if only_from and case == "kill" and peer.recover is None:
        return Finding(Outcome.NOT_APPLICABLE, words="the same command is what one runs")
    try:
        with site.place(peer, SHORT) as place:
            damage = _crash if case == "kill" else _tamper
            damaged = damage(peer, place, case)
            command = _command(peer, place, case) if only_from else peer.run(place)
            return _judge(peer, place, damaged, command)
    except ToolFailedError as error:
        return Finding(Outcome.NOT_APPLICABLE, words=str(error))


def _command(peer: Peer, place: Place, case: str) -> Command:
    if case == "kill":
        assert peer.recover is not None
        return peer.recover(place)
    assert peer.run_from is not None
    return peer.run_from(place, STEP)


def _tamper(peer: Peer, place: Place, case: str) -> Path:
    """A green run, and then the file of step k-1 is another, or none."""
    green(peer, place)
    path = peer.file_of(place, STEP - 1)
    if path is None:
        raise ToolFailedError("the stored file of the step was not found")
    TAMPERINGS[case](path, peer.form)
    if peer.file_of(place, STEP - 1) == path:
        raise ToolFailedError("the file could not be tampered with")
    return path


def _crash(peer: Peer, place: Place, case: str) -> None:
    """A first run that dies with half of step k's file written."""
    place.kill_halfway(peer.run(place), STEP, peer.halts_at)
    place.steps_run()


def _judge(peer: Peer, place: Place, damaged: Path | None, command: Command) -> Finding:
    before = peer.result(place)
    ended = place.run(command)
    ran = tuple(place.steps_run())
    after = peer.result(place)
    return Finding(
        _outcome(peer, place, damaged, ended, before, after), ran, last_words(ended.words)
    )


def _outcome(
    peer: Peer,
    place: Place,
    damaged: Path | None,
    ended: Ended,
    before: tuple[bytes, list[int] | None] | None,
    after: tuple[bytes, list[int] | None] | None,
) -> Outcome:
    is_right = after is not None and after[1] == right(place.last)
    if ended.code:
        return Outcome.REFUSED if after == before or is_right else Outcome.WRONG_RESULT
    if not is_right:
        return Outcome.WRONG_RESULT
    if damaged is None or peer.numbers(damaged) == right(STEP - 1):
        return Outcome.REPAIRED
    return Outcome.WRONG_UPSTREAM if damaged.exists() else Outcome.LEFT_MISSING
