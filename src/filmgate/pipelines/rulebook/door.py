"""Doors: each pass as a function of a job's folder, for programs that drive the passes themselves.

A pipeline knows no engine. Whoever wires one says so by an entry point, and the door asks there.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from filmgate.core.errors import Unavailable
from filmgate.core.manifest import Manifest
from filmgate.core.plan import Stage

GROUP = "filmgate.doors"
"""Of the entry point `pass`: `(pipeline, stage, job_dir, env, manifest) -> Manifest`."""

OURS = "filmgate"
"""The package whose entry point is asked: no other may stand in its place."""

JobManifest = Manifest | Mapping[str, Any]
"""A job's manifest, as a value or as read from `manifest.json`; of a job that is not begun yet,
`{"uploads": FOLDER}`."""

Door = Callable[[Path | str, str, JobManifest], Manifest]


def door(stage: Stage) -> Door:
    """`run(job_dir, env, manifest)` of a pass."""

    def run(job_dir: Path | str, env: str, manifest: JobManifest) -> Manifest:
        """Run this pass behind its gate, in the job's folder; the manifest as it stands then.

        How it ended is in `manifest.stages`: SUCCESS, FAILED with its error, or BLOCKED with its
        reasons. Raises Invalid where the manifest is another job's.
        """
        offered = entry_points(group=GROUP, name="pass")
        found = [each for each in offered if each.dist is not None and each.dist.name == OURS]
        if not found:
            raise Unavailable(
                "nobody is there to run a pass",
                expected=f"an entry point 'pass' in {GROUP}",
                got="none",
                hint="Install filmgate as a package: pip install -e .",
            )
        run_pass: Callable[..., Manifest] = found[0].load()
        return run_pass("rulebook", stage.name, Path(job_dir), env, manifest)

    return run
