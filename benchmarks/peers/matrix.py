"""Test how a tool reacts to a damaged stored file and to a crash."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from peers.bench import SHORT, WorkspaceFactory, first_run
from peers.peer import Codec, Command, Peer, expected_numbers
from peers.tampering import cut, delete, flip
from peers.workspace import ProcessResult, ToolFailedError, Workspace, last_line

STEP = 3
"""Step k, from 0 to 5: the file of step k - 1 is damaged, or step k is killed."""

TAMPERINGS: dict[str, Callable[[Path, Codec], None]] = {"cut": cut, "flip": flip, "delete": delete}
CASES = (*TAMPERINGS, "kill")


class Outcome(StrEnum):
    """The outcome of a case, as defined in `page_text.MATRIX`."""

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
    executed: tuple[int, ...] = ()
    """Steps that were executed in the run after the damage."""
    note: str = ""
    """The tool's last line of output, or the reason why the case does not apply."""

    def __str__(self) -> str:
        steps = ", ".join(map(str, self.executed))
        return f"{self.outcome.value} ({steps})" if steps else self.outcome.value


def run_case(peer: Peer, factory: WorkspaceFactory, case: str, *, from_step_k: bool) -> Finding:
    """Run one case in a new workspace: damage, then the normal command again, or the command that
    only runs the steps from k on."""
    if from_step_k and case != "kill" and peer.run_from is None:
        return Finding(Outcome.NOT_APPLICABLE, note=peer.run_from_note)
    if from_step_k and case == "kill" and peer.recover is None:
        return Finding(Outcome.NOT_APPLICABLE, note="the command is the same")
    try:
        with factory.create(peer, SHORT) as workspace:
            damage = _crash if case == "kill" else _tamper
            damaged = damage(peer, workspace, case)
            command = _command(peer, workspace, case) if from_step_k else peer.run(workspace)
            return _judge(peer, workspace, damaged, command)
    except ToolFailedError as error:
        return Finding(Outcome.NOT_APPLICABLE, note=str(error))


def _command(peer: Peer, workspace: Workspace, case: str) -> Command:
    if case == "kill":
        assert peer.recover is not None
        return peer.recover(workspace)
    assert peer.run_from is not None
    return peer.run_from(workspace, STEP)


def _tamper(peer: Peer, workspace: Workspace, case: str) -> Path:
    """Run the chain, then damage the file of step k - 1; return its path."""
    first_run(peer, workspace)
    path = peer.find_step_file(workspace, STEP - 1)
    if path is None:
        raise ToolFailedError("the stored file of the step is missing")
    TAMPERINGS[case](path, peer.codec)
    if peer.find_step_file(workspace, STEP - 1) == path:
        raise ToolFailedError("the file cannot be damaged")
    return path


def _crash(peer: Peer, workspace: Workspace, case: str) -> None:
    """Kill a first run when half of the file of step k is written."""
    workspace.kill_halfway(peer.run(workspace), STEP, peer.halt_pattern)
    workspace.take_executed_steps()


def _judge(peer: Peer, workspace: Workspace, damaged: Path | None, command: Command) -> Finding:
    before = peer.result(workspace)
    result = workspace.run(command)
    executed = tuple(workspace.take_executed_steps())
    after = peer.result(workspace)
    return Finding(
        _outcome(peer, workspace, damaged, result, before, after),
        executed,
        last_line(result.output),
    )


def _outcome(
    peer: Peer,
    workspace: Workspace,
    damaged: Path | None,
    result: ProcessResult,
    before: tuple[bytes, list[int] | None] | None,
    after: tuple[bytes, list[int] | None] | None,
) -> Outcome:
    is_right = after is not None and after[1] == expected_numbers(workspace.last)
    if result.code:
        return Outcome.REFUSED if after == before or is_right else Outcome.WRONG_RESULT
    if not is_right:
        return Outcome.WRONG_RESULT
    if damaged is None or peer.read_numbers(damaged) == expected_numbers(STEP - 1):
        return Outcome.REPAIRED
    return Outcome.WRONG_UPSTREAM if damaged.exists() else Outcome.LEFT_MISSING
