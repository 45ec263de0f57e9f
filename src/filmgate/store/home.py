"""The home: the folder of all runs; finds runs and creates new ones."""

from collections.abc import Callable
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
from filmgate.store.durable import locked, make_folders
from filmgate.store.run_directory import HEAD, MANIFEST, FolderRun, reserve


class Home:
    """The folder `$FILMGATE_HOME`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check_path(self, folder: Path) -> None:
        """Raise Invalid if the path of a run's folder leads through a link.

        A run must be stored where its path says: the target of a link can be exchanged between two
        commands. The path of the home itself may contain links. `folder`: an absolute path.
        """
        root = self.root.absolute()
        is_below = folder.is_relative_to(root)
        parts = folder.relative_to(root).parts if is_below else folder.parts[1:]
        path = root if is_below else Path(folder.anchor)
        for part in parts:
            path /= part
            if path.is_symlink():
                raise Invalid(
                    f"{path} is a link",
                    expected="a run's folder whose path contains no links",
                    got=f"a link to {path.readlink()}",
                    hint=f"Use the real path: {folder.resolve()}",
                )

    def runs_folder(self, layout: Layout, asset_id: str, env: str) -> Path:
        """Folder of the runs of an asset, or of the jobs of an environment."""
        match layout:
            case Layout.RUN:
                return self.root / "manifests" / asset_id / "runs"
            case Layout.JOB:
                return self.root / "artifacts" / "ingest" / env

    def runs(self, asset_id: AssetId | None = None, run_id: RunId | None = None) -> list[FolderRun]:
        """Runs whose head can be read, oldest first: all, or those of an asset or with a run id."""
        readable = [run for run in self._list_runs(asset_id, run_id) if _is_readable(run)]
        return sorted(readable, key=lambda run: (run.head.created_at, run.head.run_id))

    def unreadable_folders(self) -> list[Path]:
        """Folders of runs whose head cannot be read."""
        return sorted(run.folder for run in self._list_runs() if not _is_readable(run))

    def _list_runs(
        self, asset_id: AssetId | None = None, run_id: RunId | None = None
    ) -> list[FolderRun]:
        runs = self._glob_runs("manifests", f"{asset_id or '*'}/runs/{run_id or '*'}/{HEAD}")
        jobs = self._list_jobs(run_id)
        if asset_id is not None:
            jobs = [job for job in jobs if _is_readable(job) and job.head.asset.id == asset_id]
        return runs + jobs

    def _list_jobs(self, run_id: RunId | None = None) -> list[FolderRun]:
        return self._glob_runs("artifacts/ingest", f"*/{run_id or '*'}/{HEAD}")

    def _glob_runs(self, folder: str, pattern: str) -> list[FolderRun]:
        paths = (self.root / folder).glob(pattern)
        return [FolderRun(path.parent) for path in paths if not path.parent.name.startswith(".")]

    def find(self, reference: str) -> FolderRun:
        """Find the run to which a user refers.

        `reference`: a run's folder or its manifest, `asset/run`, a run id that only one asset
        has, or an asset id, which means the asset's newest run. Raises NotFound if there is no
        such run, Invalid if there are several.
        """
        path = Path(reference)
        folder = (path.parent if path.name == MANIFEST else path).absolute()
        if (folder / HEAD).is_file():
            return FolderRun(folder)
        if folder.is_dir() and "/" in reference:
            raise NotFound(
                f"{folder} does not contain a run",
                expected=f"a folder with a file {HEAD}",
                got=f"no {HEAD}",
            )
        asset, slash, run = reference.partition("/")
        if slash:
            matches = self._list_runs(parse_asset_id(asset), parse_run_id(run))
        else:
            matches = self._list_runs(run_id=parse_run_id(reference))
            matches = matches or self.runs(AssetId(reference))[-1:]
        if not matches:
            raise NotFound(
                f"run {reference!r} does not exist in {self.root}",
                expected="an asset id, a run id, asset/run, or a run's folder",
                hint="List the runs with `filmgate status`",
            )
        if len(matches) > 1:
            assets = ", ".join(sorted(match.head.asset.id for match in matches))
            raise Invalid(
                f"run id {reference!r} is ambiguous",
                expected="asset/run",
                got=f"runs of {assets}",
            )
        return matches[0]

    def locate_job(self, run_id: RunId, env: str | None, default: str) -> FolderRun:
        """Return the job with a run id, in the environment `env`, or in any if `env` is None.

        If there is none, return the run that a new job would have in the environment `default`.
        """
        jobs = self._list_jobs(run_id)
        matches = [job for job in jobs if env in {None, job.folder.parent.name}]
        return next(iter(matches), FolderRun(self.runs_folder(Layout.JOB, "", default) / run_id))

    def reserve(
        self,
        make_head: Callable[[RunId], RunHead],
        *,
        run_id: RunId | None,
        now: datetime,
    ) -> FolderRun:
        """Create a run's directory, with the head that `make_head` makes for its run id.

        Without `run_id`, the run gets the next attempt id of the asset. The ids of jobs are unique
        in all environments together. Attempts are counted under a lock, so that two callers never
        get the same number. Raises Invalid if the directory exists or is below a link, Conflict if
        a job in another environment has the id.
        """
        template = make_head(RunId("any"))
        folder = self.runs_folder(template.layout, template.asset.id, template.env)
        self.check_path(folder.absolute())
        if run_id is not None and template.layout is Layout.RUN:
            return reserve(folder / run_id, make_head(run_id))
        make_folders(folder)
        lock_folder = folder.parent if template.layout is Layout.JOB else folder
        with locked(lock_folder / ".reserve.lock"):
            names = _run_names(folder, template.layout)
            if run_id is not None:
                _check_free(run_id, folder)
                return reserve(folder / run_id, make_head(run_id))
            highest = max((attempt_number(name) or 0 for name in names), default=0)
            next_id = attempt_run_id(max(highest, len(names)) + 1, now)
            return reserve(folder / next_id, make_head(next_id))


def _run_names(folder: Path, layout: Layout) -> list[str]:
    """Names of the run folders of an asset, or of the job folders in all environments."""
    parents = folder.parent.iterdir() if layout is Layout.JOB else [folder]
    paths = [path for parent in parents if parent.is_dir() for path in parent.iterdir()]
    return [path.name for path in paths if not path.name.startswith(".")]


def _check_free(run_id: RunId, folder: Path) -> None:
    """Raise Conflict if a job outside the environment's folder `folder` has the id."""
    others = folder.parent.glob(f"*/{run_id}/{HEAD}")
    taken = [path.parent.parent.name for path in others if path.parent.parent != folder]
    if taken:
        raise Conflict(
            f"job {run_id} already exists in {taken[0]}",
            expected="an id that no other job has",
            got=run_id,
            hint="Choose another --run-id",
        )


def _is_readable(run: FolderRun) -> bool:
    try:
        return bool(run.head)
    except Invalid:
        return False
