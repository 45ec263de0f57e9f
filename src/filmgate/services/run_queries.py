"""Queries of the runs of an asset in the home: status, list, manifest, logs and report."""

from collections.abc import Callable

from filmgate.core.errors import Invalid, NotFound, Unavailable
from filmgate.core.ids import AssetId, parse_run_id
from filmgate.core.jobs import JobAnswer
from filmgate.core.manifest import Manifest
from filmgate.core.runs import LogsAnswer, RunsAnswer, StatusAnswer
from filmgate.services.reports import ReportFile, find_report
from filmgate.services.run_status import RunStatus
from filmgate.services.runs import Runs
from filmgate.services.status_answers import legacy_entry, legacy_status, run_entry, status_answer
from filmgate.store.event_log import EventReader, format_position
from filmgate.store.run_directory import FolderRun
from filmgate.wiring.clock import utc_now

LOG_BYTES = 256 * 1024
"""Maximum size of the part of a stage's log in one answer, in bytes."""


class RunQueries:
    """Answers queries about the runs of one home.

    `run_id` selects a run of the asset; None selects the newest. All methods raise NotFound if the
    asset has no such run.
    """

    def __init__(self, runs: Runs, latest_job: Callable[[str, str], JobAnswer | None]) -> None:
        """`latest_job`: returns the latest job of a run, given its asset id and run id."""
        self._runs = runs
        self._latest_job = latest_job

    def status(self, asset_id: str, run_id: str | None) -> StatusAnswer:
        """Return the status of a run; a run of an older layout is found too."""
        try:
            run = self.find(asset_id, run_id)
        except NotFound:
            legacy = self._runs.find_legacy_run(f"{asset_id}/{run_id}" if run_id else asset_id)
            if legacy is None:
                raise
            return legacy_status(legacy)
        try:
            job = self._latest_job(run.head.asset.id, run.head.run_id)
        except Unavailable:
            job = None
        return status_answer(RunStatus.of(run, utc_now()), job)

    def list(self, asset_id: str) -> RunsAnswer:
        """List the runs of an asset, oldest first."""
        entries, unreadable = [], []
        for run in self._runs.runs_of_asset(AssetId(asset_id)):
            try:
                entries.append(run_entry(run.fold_manifest(None)))
            except Invalid:
                unreadable.append(run.folder.name)
        legacy = [run for run in self._runs.legacy_runs() if run.asset_id == asset_id]
        entries += map(legacy_entry, legacy)
        if not entries and not unreadable:
            raise NotFound(
                f"asset {asset_id!r} has no runs here", expected="an asset with a run here"
            )
        return RunsAnswer(asset_id=asset_id, runs=tuple(entries), unreadable=tuple(unreadable))

    def manifest(self, asset_id: str, run_id: str | None) -> Manifest:
        """Return a run's manifest, derived from its records."""
        return self.find(asset_id, run_id).fold_manifest(None)

    def report(self, asset_id: str, run_id: str | None) -> ReportFile:
        """Return the PDF report of a run; raises NotFound, and Invalid if the file was changed."""
        return find_report(self.find(asset_id, run_id))

    def logs(self, asset_id: str, run_id: str | None, stage: str, cursor: str | None) -> LogsAnswer:
        """Return the next part of a stage's log; the answer has a cursor even at the end."""
        run = self.find(asset_id, run_id)
        head = run.head
        if stage not in head.stages:
            raise NotFound(
                f"run {head.run_id} has no stage {stage!r}",
                expected=f"one of {', '.join(head.stages)}",
            )
        reader = EventReader(run, [stage], cursor)
        lines = [logged.line for logged in reader.read(LOG_BYTES)]
        next_cursor = format_position(reader.position)
        return LogsAnswer.from_lines(head.asset.id, head.run_id, stage, lines, next_cursor)

    def find(self, asset_id: str, run_id: str | None) -> FolderRun:
        """Return a run of an asset by its id, or the newest run of the asset."""
        asset = AssetId(asset_id)
        runs = self._runs.runs_of_asset(asset, parse_run_id(run_id) if run_id else None)
        if not runs:
            others = self._runs.runs_of_asset(asset)
            newest = ", ".join(run.head.run_id for run in others[-5:])
            raise NotFound(
                f"asset {asset_id!r} has no run {run_id!r} here"
                if run_id
                else f"asset {asset_id!r} has no runs here",
                expected=f"one of its runs, such as {newest}" if newest else "an asset with a run",
                hint="List runs with GET /episodes/{id}/runs, or start one with a job",
            )
        return runs[-1]
