"""The home: where runs live on disk, how they are found, and how a new one gets its place."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filmgate.core.errors import Conflict, Invalid, NotFound
from filmgate.core.ids import (
    AssetId,
    Layout,
    RunId,
    attempt_number,
    attempt_run_id,
    parse_asset_id,
    parse_run_id,
)
from filmgate.core.records import RunHead
from filmgate.store.durable import make_folders
from filmgate.store.run_directory import HEAD, MANIFEST, FolderRun, reserve


class Home:
    """`$FILMGATE_HOME`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def runs_folder(self, layout: Layout, asset_id: str, env: str) -> Path:
        """Where an asset's runs live, or an environment's jobs."""
        match layout:
            case Layout.RUN:
                return self.root / "manifests" / asset_id / "runs"
            case Layout.JOB:
                return self.root / "artifacts" / "ingest" / env

    def runs(self, asset_id: AssetId | None = None) -> list[FolderRun]:
        """All runs (of one asset) whose head can be read, oldest first."""
        readable = [run for run in self._found(asset_id) if _is_readable(run)]
        return sorted(readable, key=lambda run: (run.head.created_at, run.head.run_id))

    def run(self, asset_id: AssetId, run_id: RunId) -> FolderRun | None:
        """An asset's run where its id says that it lies; None where it does not, as jobs do not."""
        folder = self.runs_folder(Layout.RUN, asset_id, "") / run_id
        is_there = (folder / HEAD).is_file() and _is_readable(FolderRun(folder))
        return FolderRun(folder) if is_there else None

    def unreadable(self) -> list[Path]:
        """Folders of runs whose head cannot be read."""
        return sorted(run.folder for run in self._found(None) if not _is_readable(run))

    def _found(self, asset_id: AssetId | None) -> list[FolderRun]:
        runs = self._below("manifests", f"{asset_id or '*'}/runs/*/{HEAD}")
        jobs = self._jobs()
        if asset_id is not None:
            jobs = [job for job in jobs if _is_readable(job) and job.head.asset.id == asset_id]
        return runs + jobs

    def _jobs(self) -> list[FolderRun]:
        return self._below("artifacts/ingest", f"*/*/{HEAD}")

    def _below(self, folder: str, pattern: str) -> list[FolderRun]:
        paths = (self.root / folder).glob(pattern)
        return [FolderRun(path.parent) for path in paths if not path.parent.name.startswith(".")]

    def find(self, reference: str) -> FolderRun:
        """The run that a person means.

        `reference`: a run's folder or its manifest, `asset/run`, a run id that only one asset
        has, or an asset id, which means the asset's newest run. Raises NotFound.
        """
        path = Path(reference)
        folder = (path.parent if path.name == MANIFEST else path).absolute()
        if (folder / HEAD).is_file():
            return FolderRun(folder)
        if folder.is_dir() and "/" in reference:
            raise NotFound(
                f"no run in {folder}", expected=f"a folder with a file {HEAD}", got="none"
            )
        asset, slash, run = reference.partition("/")
        if slash:
            named = self._found(parse_asset_id(asset))
            named = [found for found in named if found.folder.name == parse_run_id(run)]
        else:
            wanted = parse_run_id(reference)
            named = [found for found in self._found(None) if found.folder.name == wanted]
            named = named or self.runs(AssetId(reference))[-1:]
        if not named:
            raise NotFound(
                f"no run {reference!r} in {self.root}",
                expected="an asset id, a run id, asset/run, or a run's folder",
                hint="`filmgate status` lists the runs there are",
            )
        if len(named) > 1:
            assets = ", ".join(sorted(found.head.asset.id for found in named))
            raise Invalid(
                f"several assets have a run {reference!r}",
                expected="asset/run",
                got=f"runs of {assets}",
            )
        return named[0]

    def job(self, run_id: RunId, env: str | None, default: str) -> FolderRun:
        """Where the job of that id is, in one environment or in any; in the default one, where it
        is not there yet."""
        jobs = [each for each in self._jobs() if each.folder.name == run_id]
        named = [each for each in jobs if env in {None, each.folder.parent.name}]
        return next(iter(named), FolderRun(self.runs_folder(Layout.JOB, "", default) / run_id))

    def reserve(
        self,
        head: Callable[[RunId], RunHead],
        *,
        run_id: RunId | None,
        now: datetime,
    ) -> FolderRun:
        """Make a run's directory; without a run id, under the next attempt id: of the asset; of
        jobs, of all environments, in which no two have the same id.

        Attempts are counted under a lock, so that two callers never get the same number.
        """
        wanted = head(RunId("any"))
        folder = self.runs_folder(wanted.layout, wanted.asset.id, wanted.env)
        if run_id is not None and wanted.layout is Layout.RUN:
            return reserve(folder / run_id, head(run_id))
        make_folders(folder)
        beside = folder.parent if wanted.layout is Layout.JOB else folder
        with _locked(beside / ".reserve.lock"):
            named = _names(folder, wanted.layout)
            if run_id is not None:
                _check_free(run_id, folder)
                return reserve(folder / run_id, head(run_id))
            highest = max((attempt_number(name) or 0 for name in named), default=0)
            chosen = attempt_run_id(max(highest, len(named)) + 1, now)
            return reserve(folder / chosen, head(chosen))


def _names(folder: Path, layout: Layout) -> list[str]:
    """Of the runs of an asset; of jobs, those of all environments."""
    folders = folder.parent.iterdir() if layout is Layout.JOB else [folder]
    found = [path for each in folders if each.is_dir() for path in each.iterdir()]
    return [path.name for path in found if not path.name.startswith(".")]


def _check_free(run_id: RunId, folder: Path) -> None:
    """Raise Conflict where a job of another environment than this folder's has the id."""
    others = folder.parent.glob(f"*/{run_id}/{HEAD}")
    taken = [path.parent.parent.name for path in others if path.parent.parent != folder]
    if taken:
        raise Conflict(
            f"there is a job {run_id} in {taken[0]}",
            expected="an id that no other job has",
            got=run_id,
            hint="Give it another --run-id",
        )


def _is_readable(run: FolderRun) -> bool:
    try:
        return bool(run.head)
    except Invalid:
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
