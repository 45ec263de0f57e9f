"""What is known of a tool once all is measured."""

from dataclasses import dataclass, field

from peers.bench import Times
from peers.matrix import Finding
from peers.peer import Peer


@dataclass
class Report:
    """All that was found about one tool."""

    peer: Peer
    version: str = ""
    is_ready: bool = False
    """Whether it could be installed and run."""
    repeats: int = 1
    """How often it is timed in a round."""
    failed: str = ""
    """Why the tool, or a part of its figures, is missing."""
    times: Times = field(default_factory=Times)
    findings: dict[tuple[str, bool], Finding] = field(default_factory=dict)
    """By case, and whether only the steps from k on were asked for."""
