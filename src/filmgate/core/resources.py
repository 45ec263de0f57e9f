"""Resources: what a stage may read besides its run, such as a model's weights or known people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filmgate.core.envelope import Sha256


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Something outside the run, by its digest: a part of the fingerprint of who consults it."""

    name: str
    sha256: Sha256
    """Of the file's bytes; for a folder, of its sorted listing of names and digests."""
    path: Path
    """A file or a folder. Whoever reads it holds what was read against `sha256`."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else is known of it: its version, its licence."""


Resources = Mapping[str, Resource]
"""Those that are there, by name."""
