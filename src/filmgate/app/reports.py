"""The report of a run, as the run made it."""

from dataclasses import dataclass
from pathlib import Path

from filmgate.core.errors import Conflict, NotFound
from filmgate.store.run_directory import FolderRun

REPORT = "episode.report"
"""The schema of a report."""


@dataclass(frozen=True, kw_only=True)
class ReportFile:
    """A file that a run's records name, and that is as they say."""

    path: Path
    sha256: str
    size_bytes: int
    media_type: str


def report_of(run: FolderRun) -> ReportFile:
    """A run's report. NotFound where it has none, saying why; Conflict where the file is not what
    the run made."""
    manifest = run.refold(None)
    ref = manifest.the_file_of(REPORT)
    if ref is None:
        why = manifest.stages.get("pdf")
        raise NotFound(
            f"run {manifest.run_id} of {manifest.asset.id} has no report",
            expected="a run whose stage pdf succeeded",
            got=f"{why.status.value}: {why.reason or ''}".strip(": ") if why else "no such stage",
        )
    facts = run.facts(ref.path)
    path = Path(run.path_of(ref.path))
    if facts is None or facts.sha256 != ref.sha256 or path.is_symlink():
        raise Conflict(
            f"{ref.path} is not what the run made",
            expected=f"sha256 {ref.sha256}",
            got=f"sha256 {facts.sha256}" if facts else "no such file",
            hint="filmgate run with --repair makes it again",
        )
    return ReportFile(
        path=path, sha256=ref.sha256, size_bytes=ref.size_bytes, media_type=ref.media_type
    )
