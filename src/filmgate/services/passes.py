"""Run one stage in the folder of a job, for programs that run the stages themselves."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from filmgate.core.errors import Invalid
from filmgate.core.manifest import Manifest
from filmgate.core.progress import NullObserver, ignore_progress
from filmgate.services.run_options import RunOptions
from filmgate.services.runs import Runs
from filmgate.wiring import settings
from filmgate.wiring.file_access import restricted_files

UPLOADS = "uploads"

JobManifest = Manifest | Mapping[str, object]
"""A job's manifest: a `Manifest`, or the contents of `manifest.json`. For a job that does not exist
yet: `{"uploads": FOLDER}`."""

PassRunner = Callable[[Path | str, str, JobManifest], Manifest]


def _uploads_of(job_dir: Path, manifest: JobManifest) -> Path | None:
    """Return the folder of uploads for a new job; None if `manifest` is the manifest of the job.

    For a new job, `manifest` is a mapping with the single key `uploads`. Raises Invalid if
    `manifest` belongs to another job.
    """
    if not isinstance(manifest, Manifest) and set(manifest) == {UPLOADS}:
        return Path(str(manifest[UPLOADS]))
    if not isinstance(manifest, Manifest):
        manifest = Manifest.parse(json.dumps(dict(manifest)).encode())
    if manifest.run_id != job_dir.name:
        raise Invalid(
            "the manifest belongs to another job",
            expected=f"job_id {job_dir.name}, the name of the folder",
            got=f"job_id {manifest.run_id}",
        )
    return None


def make_pass_runner(pipeline: str, stage: str) -> PassRunner:
    """Return the function `run(job_dir, env, manifest)` of one stage of a pipeline."""

    def run(job_dir: Path | str, env: str, manifest: JobManifest) -> Manifest:
        """Check the gate of this pass, run it in the job's folder, and return the new manifest.

        The same as `filmgate run PIPELINE --passes STAGE --job-dir JOB_DIR --env ENV`. The outcome
        is in `manifest.stages`: SUCCESS, FAILED with its error, or BLOCKED with its reasons. Raises
        Invalid if the manifest belongs to another job.
        """
        folder = Path(job_dir)
        uploads = _uploads_of(folder, manifest)
        options = RunOptions(job_dir=str(job_dir), env=env, stages=(stage,))
        chosen = settings.read()
        runs = Runs(chosen)
        with restricted_files(chosen.file_access):
            return runs.run(pipeline, uploads, options, NullObserver(), ignore_progress).manifest

    return run
