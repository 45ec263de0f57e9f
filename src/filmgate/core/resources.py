"""Resources: data outside a run that a stage reads, such as model weights or known people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filmgate.core.envelope import Sha256


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A file or folder outside the run; its digest is in the fingerprint of stages that read it."""

    name: str
    sha256: Sha256
    """SHA-256 of the file's bytes; for a folder, of its sorted listing of names and digests."""
    path: Path
    """The file or folder. A stage that reads it must verify its bytes against `sha256`."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Further facts, such as version and licence."""


Resources = Mapping[str, Resource]
"""The available resources, by name."""
