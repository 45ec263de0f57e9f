"""Functions that run one pass in a job's folder, for programs that run the passes themselves.

A pipeline must not import the engine. Therefore the engine's function that runs a pass is found by
an entry point.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from filmgate.core.errors import Unavailable
from filmgate.core.manifest import Manifest
from filmgate.core.plan import Stage

GROUP = "filmgate.doors"
"""Entry-point group. Its entry point `pass` is a function
`(pipeline, stage, job_dir, env, manifest) -> Manifest`."""

OWN_PACKAGE = "filmgate"
"""The only distribution whose entry point is used, so that other distributions cannot replace
it."""

JobManifest = Manifest | Mapping[str, Any]
"""A job's manifest: a `Manifest`, or the contents of `manifest.json`. For a job that does not exist
yet: `{"uploads": FOLDER}`."""

PassRunner = Callable[[Path | str, str, JobManifest], Manifest]


def make_pass_runner(stage: Stage) -> PassRunner:
    """Return the function `run(job_dir, env, manifest)` of a pass."""

    def run(job_dir: Path | str, env: str, manifest: JobManifest) -> Manifest:
        """Check the gate of this pass, run it in the job's folder, and return the new manifest.

        The outcome is in `manifest.stages`: SUCCESS, FAILED with its error, or BLOCKED with its
        reasons. Raises Invalid if the manifest belongs to another job.
        """
        candidates = entry_points(group=GROUP, name="pass")
        own = [
            entry
            for entry in candidates
            if entry.dist is not None and entry.dist.name == OWN_PACKAGE
        ]
        if not own:
            raise Unavailable(
                "the function that runs a pass is missing",
                expected=f"an entry point 'pass' in {GROUP}",
                got="none",
                hint="Install filmgate as a package: pip install -e .",
            )
        run_pass: Callable[..., Manifest] = own[0].load()
        return run_pass("rulebook", stage.name, Path(job_dir), env, manifest)

    return run
