"""Lookup of the report file of a run."""

from dataclasses import dataclass
from pathlib import Path

from filmgate.core.errors import Conflict, NotFound, UsageError
from filmgate.core.records import changed_file_error
from filmgate.store.run_directory import FolderRun
from filmgate.wiring import pipelines


@dataclass(frozen=True, kw_only=True)
class ReportFile:
    """A report file that matches the run's records."""

    path: Path
    sha256: str
    size_bytes: int
    media_type: str


def find_report(run: FolderRun) -> ReportFile:
    """Return the report of a run.

    Raises NotFound with the reason if there is none, Conflict if the file was changed after
    the run.
    """
    manifest = run.fold_manifest(None)
    try:
        path_of_report = pipelines.load(run.head.pipeline).report
    except UsageError:  # the pipeline is not installed here
        path_of_report = None
    maker = next((name for name, paths in run.head.makes.items() if path_of_report in paths), None)
    refs = (ref for _, _, ref in manifest.artifact_refs if ref.path == path_of_report)
    ref = next(refs, None)
    if ref is None:
        stage = manifest.stages.get(maker) if maker is not None else None
        raise NotFound(
            f"run {manifest.run_id} of {manifest.asset.id} has no report",
            expected=f"a run whose stage {maker} succeeded"
            if maker
            else "a run of a pipeline that writes a report",
            got=f"{stage.status.value}: {stage.reason or ''}".strip(": ")
            if stage
            else "no such stage",
        )
    facts = run.facts(ref.path)
    path = Path(run.path_of(ref.path))
    if facts is None or facts.sha256 != ref.sha256 or path.is_symlink():
        found = facts.sha256 if facts else None
        raise changed_file_error(Conflict, ref, found, "the run", "Run the pipeline with --repair")
    return ReportFile(
        path=path, sha256=ref.sha256, size_bytes=ref.size_bytes, media_type=ref.media_type
    )
