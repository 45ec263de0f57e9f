"""Which run is meant, and on which inputs: the one named, the newest unfinished, or a new one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filmgate.app.run_options import RunOptions
from filmgate.core.digest import digest_of
from filmgate.core.errors import Invalid, NotFound
from filmgate.core.ids import (
    AssetId,
    Layout,
    RunId,
    asset_id_from_name,
    parse_asset_id,
    parse_run_id,
)
from filmgate.core.pipeline import Admitted, Pipeline
from filmgate.core.plan import Plan
from filmgate.core.records import Asset, RunHead
from filmgate.core.states import RunState
from filmgate.engine.inputs import Inputs, nobody_knows, read_inputs
from filmgate.store.home import Home
from filmgate.store.run_directory import HEAD, FolderRun, reserve


@dataclass(frozen=True, kw_only=True)
class Given:
    """An input that was admitted and read, and how it is to be worked on."""

    pipeline: Pipeline
    source: Path
    admitted: Admitted
    inputs: Inputs
    asset_id: AssetId
    profile: str
    config: dict[str, Any]


def admit(
    pipeline: Pipeline,
    source: Path,
    options: RunOptions,
    hashed: Callable[[float, float], None],
    known: Callable[[Path], str | None] = nobody_knows,
) -> Given:
    """Look at the input before anything is made; Invalid or NotFound where it will not do.

    `hashed` is told how many bytes of how many have been read; `known` gives the digests of files
    that need not be.
    """
    config = pipeline.resolve(options.profile, options.settings)
    admitted = (pipeline.admit or admit_file)(source)
    for name in admitted.files:
        if not name.isprintable():
            raise Invalid(
                "the file's name cannot be written down",
                expected="letters, digits, spaces and signs in UTF-8",
                got=ascii(name),
                hint="Rename it",
            )
    given = options.asset_id
    return Given(
        pipeline=pipeline,
        source=source,
        admitted=admitted,
        inputs=read_inputs(admitted.files, hashed, known),
        asset_id=parse_asset_id(given) if given is not None else _name_of(source),
        profile=options.profile,
        config=config,
    )


def _name_of(source: Path) -> AssetId:
    """What an input goes by: a file without its end, a folder whole."""
    if source.is_dir():
        return asset_id_from_name(f"{source.resolve().name}.d")
    return asset_id_from_name(source.name)


def admit_file(source: Path) -> Admitted:
    """Any one regular file."""
    if not source.exists():
        raise NotFound(f"no file {str(source)!r}", expected="a file", got="nothing")
    if not source.is_file():
        raise Invalid(f"{source} is no file", expected="a file", got="something else")
    return Admitted(files={source.name: source})


def job_folder(job_dir: str) -> Path:
    """The folder that is named for a run; Invalid where it is not named straight."""
    if not job_dir or ".." in Path(job_dir).parts or "\0" in job_dir:
        raise Invalid(
            "a job folder is named straight",
            expected="a path without ..",
            got=repr(job_dir),
            hint="Give --job-dir the folder's real path",
        )
    return Path(job_dir).absolute()


class RunChoice:
    """Finds, or makes, the run that an invocation means."""

    def __init__(
        self,
        home: Home,
        given: Given,
        options: RunOptions,
        *,
        producer: str,
        env: str,
        now: datetime,
    ) -> None:
        self._home = home
        self._given = given
        self._options = options
        self._producer = producer
        self._env = env
        self._now = now

    def find(self) -> FolderRun | None:
        """The run that is there already; None where one would be begun.

        Raises Invalid where the one that is named was begun otherwise.
        """
        named = self._named_folder()
        if named is not None:
            is_there = (named / HEAD).exists()
            return self._resumable(self._run(named)) if is_there else None
        return None if self._options.new else self._newest_unfinished()

    def find_or_reserve(self) -> FolderRun:
        """The run that is there already, or its folder made."""
        if (found := self.find()) is not None:
            return found
        if self._options.job_dir is not None:
            folder = self._job_folder(self._options.job_dir)
            made = reserve(folder, self._head(parse_run_id(folder.name)))
        else:
            given = self._options.run_id
            run_id = parse_run_id(given) if given is not None else None
            made = self._home.reserve(self._head, run_id=run_id, now=self._now)
        return self._run(made.folder)

    def other_inputs(self) -> list[str]:
        """Earlier runs of the pipeline on the asset that were made of other bytes."""
        mine = self._head(RunId("any"))
        return [
            earlier.head.run_id
            for earlier in self._home.runs(self._given.asset_id)
            if earlier.head.pipeline == mine.pipeline
            and earlier.head.asset.input_hash != mine.asset.input_hash
        ]

    def _run(self, folder: Path) -> FolderRun:
        return FolderRun(folder, trust_times=not self._options.verify_full)

    def _named_folder(self) -> Path | None:
        if self._options.job_dir is not None:
            return self._job_folder(self._options.job_dir)
        if self._options.run_id is not None:
            layout = self._given.pipeline.layout
            folder = self._home.runs_folder(layout, self._given.asset_id, self._env)
            return folder / parse_run_id(self._options.run_id)
        return None

    def _job_folder(self, job_dir: str) -> Path:
        """The run's own folder; its base name is the run's id."""
        folder = job_folder(job_dir)
        named, given = parse_run_id(folder.name), self._options.run_id
        if given is not None and parse_run_id(given) != named:
            raise Invalid(
                "--job-dir and --run-id disagree",
                expected=f"a folder called {given}",
                got=folder.name,
                hint="The folder's base name is the run's id; leave --run-id out",
            )
        return folder

    def _head(self, run_id: RunId) -> RunHead:
        given = self._given
        return RunHead.of(
            given.pipeline.plan,
            producer=self._producer,
            asset=_asset(given),
            source_sha_map=dict(given.inputs.digests),
            run_id=run_id,
            env=self._env,
            profile=given.profile,
            config=given.config,
            created_at=self._now,
            layout=given.pipeline.layout,
        )

    def _resumable(self, run: FolderRun) -> FolderRun:
        """The run, where what was frozen in it is what is asked for now; else Invalid.

        Other input bytes, and a folder of another name, are left to the gates, which say so of
        every stage.
        """
        frozen, wanted = run.head, self._head(RunId("any"))
        if self._options.new:
            raise Invalid(
                f"there is a run {frozen.run_id} already",
                expected="a new run id with --new",
                got=frozen.run_id,
                hint="Leave --new out to go on with it",
            )
        check_plan(frozen, self._given.pipeline.plan)
        then, now = _settings(frozen), _settings(wanted)
        if changed := sorted(name for name in {*then, *now} if then.get(name) != now.get(name)):
            raise Invalid(
                f"run {frozen.run_id} was begun otherwise",
                expected=", ".join(f"{name} {then.get(name, 'unset')}" for name in changed),
                got=", ".join(f"{name} {now.get(name, 'unset')}" for name in changed),
                hint="A run's config is frozen; begin another with --new",
            )
        if frozen.layout is Layout.JOB and frozen.env != wanted.env:
            raise Invalid(
                f"job {frozen.run_id} is of another environment",
                expected=f"--env {frozen.env}, or none",
                got=f"--env {wanted.env}",
            )
        if frozen.asset.id != wanted.asset.id:
            raise Invalid(
                f"run {frozen.run_id} is of another asset",
                expected=f"asset {frozen.asset.id}",
                got=f"asset {wanted.asset.id}",
            )
        return run

    def _newest_unfinished(self) -> FolderRun | None:
        """The newest run of the same pipeline, asset, input and config that is no success yet;
        where what is asked is asked of a run that is there, else the newest of all."""
        wanted = self._head(RunId("any"))
        alike = [
            run
            for run in reversed(self._home.runs(self._given.asset_id))
            if _likeness(run.head) == _likeness(wanted)
        ]
        unfinished = next((run for run in alike if _is_unfinished(run)), None)
        if unfinished is None and self._options.goes_on:
            unfinished = next((run for run in alike if _is_readable(run)), None)
        return self._run(unfinished.folder) if unfinished is not None else None


def _asset(given: Given) -> Asset:
    """A file with what belongs to it; or a collection, which is all of its files."""
    files, digests = given.admitted.files, given.inputs.digests
    first = next(iter(files))
    is_whole = given.admitted.is_collection
    return Asset(
        id=given.asset_id,
        input_hash=digest_of(dict(sorted(digests.items()))) if is_whole else digests[first],
        uri=given.source.absolute().as_uri(),
        size_bytes=sum(files[name].stat().st_size for name in (files if is_whole else [first])),
        media=dict(given.admitted.media),
    )


def _settings(head: RunHead) -> dict[str, Any]:
    """The profile, and every setting by `stage.setting`."""
    stages = head.config.items()
    settings = {f"{stage}.{name}": value for stage, own in stages for name, value in own.items()}
    return {"profile": head.profile, **settings}


def _likeness(head: RunHead) -> tuple[Any, ...]:
    """What two runs have in common where one goes on with the other."""
    plan = (head.pipeline, head.stages, head.stands_on, head.makes)
    env = head.env if head.layout is Layout.JOB else None
    return (
        *plan,
        head.layout,
        env,
        head.asset.media.get("refused"),
        head.source_sha_map,
        head.config_hash,
        head.profile,
    )


def check_plan(head: RunHead, plan: Plan) -> None:
    """Raise Invalid where the run was begun under another plan than the one installed now."""
    now = {"pipeline": plan.pipeline, "stages": plan.names} | {
        "stands_on": plan.stands_on,
        "makes": plan.makes,
    }
    for what, asked in now.items():
        if (stands := getattr(head, what)) != asked:
            raise Invalid(
                f"run {head.run_id} was begun under another plan",
                expected=f"{what} {stands}",
                got=f"{what} {asked}",
                hint="A run's plan is frozen; begin another with --new",
            )


def _is_readable(run: FolderRun) -> bool:
    try:
        return bool(run.refold(None))
    except Invalid:
        return False


def _is_unfinished(run: FolderRun) -> bool:
    """Whether there is something left to do; a run whose records are broken is left alone."""
    try:
        return run.refold(None).status is not RunState.SUCCESS
    except Invalid:
        return False
