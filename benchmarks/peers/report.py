"""The results of a tool."""

from dataclasses import dataclass, field

from peers.bench import Times
from peers.matrix import Finding
from peers.peer import Peer


@dataclass
class Report:
    """All measurements of one tool."""

    peer: Peer
    version: str = ""
    is_ready: bool = False
    """Whether it could be installed and run."""
    repeats: int = 1
    """How often it is measured per round."""
    failure: str = ""
    """Reason why the tool, or some of its figures, are missing; empty if all are present."""
    times: Times = field(default_factory=Times)
    findings: dict[tuple[str, bool], Finding] = field(default_factory=dict)
    """(case, whether only the steps from k on were run) → finding."""
