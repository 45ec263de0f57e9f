"""Choice of the run of an invocation: the named run, the newest unfinished run, or a new run."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filmgate.core.errors import Invalid, NotFound, Unavailable, UsageError
from filmgate.core.ids import (
    AssetId,
    Layout,
    RunId,
    asset_id_from_name,
    parse_asset_id,
    parse_env,
    parse_run_id,
)
from filmgate.core.pipeline import InputFiles, Pipeline
from filmgate.core.plan import Plan
from filmgate.core.records import RunHead
from filmgate.core.states import RunState
from filmgate.engine.inputs import Inputs, describe_asset, no_known_digest, read_inputs
from filmgate.services.run_options import RunOptions, Verify, frozen_settings
from filmgate.store.home import Home
from filmgate.store.run_directory import HEAD, FolderRun, reserve


@dataclass(frozen=True, kw_only=True)
class RunInput:
    """An input whose files were checked and hashed, and the settings of its run."""

    pipeline: Pipeline
    source: Path
    admitted: InputFiles
    inputs: Inputs
    asset_id: AssetId
    profile: str
    config: dict[str, dict[str, object]]


def read_run_input(
    pipeline: Pipeline,
    source: Path,
    options: RunOptions,
    report_hashed: Callable[[float, float], None],
    known_digest: Callable[[Path], str | None] = no_known_digest,
) -> RunInput:
    """Check and hash the input of a run; raises Invalid or NotFound if it is unusable.

    `report_hashed` is called with the number of hashed bytes and the total. `known_digest` returns
    the digest of a file if it is known; such a file is not read.
    """
    if re.match(r"[a-z][a-z0-9+.-]+:/", str(source)):
        raise UsageError(
            "a link cannot be an input",
            expected=pipeline.inputs.what,
            got=str(source).replace(":/", "://", 1),
            hint="Links are not fetched: download the files first",
        )
    config = pipeline.resolve(options.profile, options.settings)
    admitted = admit(pipeline, source)
    for name in admitted.files:
        if not name.isprintable():
            raise Invalid(
                "the name of the file is invalid",
                expected="printable characters in UTF-8",
                got=ascii(name),
                hint="Rename the file",
            )
    given = options.asset_id
    return RunInput(
        pipeline=pipeline,
        source=source,
        admitted=admitted,
        inputs=read_inputs(admitted.files, report_hashed, known_digest),
        asset_id=parse_asset_id(given) if given is not None else _default_asset_id(source),
        profile=options.profile,
        config=config,
    )


def _default_asset_id(source: Path) -> AssetId:
    """Derive an asset id from the name of a folder, or of a file without its suffix."""
    if source.is_dir():
        return asset_id_from_name(f"{source.resolve().name}.d")
    return asset_id_from_name(source.name)


def admit(pipeline: Pipeline, source: Path) -> InputFiles:
    """Check an input of a pipeline and return its files; raises Invalid or NotFound for an unusable
    one, Unavailable if the packages of the pipeline are not installed."""
    try:
        return (pipeline.admit or admit_file)(source)
    except ModuleNotFoundError as error:
        plan = pipeline.plan
        raise Unavailable(
            f"packages of pipeline {plan.pipeline} are not installed",
            expected=plan.packages or f"the packages of {plan.pipeline}",
            got=f"no package {error.name}",
            hint=f"pip install '{plan.packages}'" if plan.packages else None,
        ) from error


def admit_file(source: Path) -> InputFiles:
    """Accept a single regular file; raises NotFound if it is missing, Invalid if it is a folder."""
    if not source.exists():
        raise NotFound(f"file {str(source)!r} does not exist", expected="a file", got="nothing")
    if not source.is_file():
        raise Invalid(f"{source} is not a file", expected="a file", got="something else")
    return InputFiles(files={source.name: source})


def parse_job_dir(job_dir: str) -> Path:
    """Return the absolute path of a job folder; raises Invalid if it is empty or has `..`."""
    if not job_dir or ".." in Path(job_dir).parts or "\0" in job_dir:
        raise Invalid(
            "--job-dir is empty or contains '..'",
            expected="a path without ..",
            got=repr(job_dir),
            hint="Set --job-dir to the real path of the folder",
        )
    return Path(job_dir).absolute()


def find_named_run(home: Home, pipeline: Pipeline, options: RunOptions, env: str) -> FolderRun:
    """Return the run that `job_dir` or `run_id` of the options names; a job may be new.

    `env`: the environment if the options name none. Raises NotFound if no run has the id, Invalid
    if runs of several assets have it.
    """
    if options.job_dir is not None:
        return FolderRun(parse_job_dir(options.job_dir))
    run_id = parse_run_id(str(options.run_id))
    if pipeline.layout is Layout.JOB:
        return home.locate_job(run_id, options.env, parse_env(options.env or env))
    asset_id = parse_asset_id(options.asset_id) if options.asset_id is not None else None
    name = pipeline.plan.pipeline
    found = [run for run in home.runs(asset_id, run_id) if run.head.pipeline == name]
    if not found:
        raise NotFound(
            f"run {run_id!r} of pipeline {name} does not exist",
            expected=f"the id of an existing run, or {pipeline.inputs.what}",
            got="neither",
            hint="List the runs with `filmgate status`",
        )
    if len(found) > 1:
        raise Invalid(
            f"run id {run_id!r} is ambiguous",
            expected="--asset-id",
            got=f"runs of {', '.join(sorted(run.head.asset.id for run in found))}",
        )
    return found[0]


class RunChoice:
    """Finds the existing run of an invocation, or creates a new one."""

    def __init__(
        self,
        home: Home,
        run_input: RunInput,
        options: RunOptions,
        *,
        producer: str,
        env: str,
        now: datetime,
    ) -> None:
        self._home = home
        self._input = run_input
        self._options = options
        self._producer = producer
        self._env = env
        self._now = now

    def find(self) -> FolderRun | None:
        """Return the existing run to resume; None if a new one would be created.

        Raises Invalid if the named run was started with different settings.
        """
        named = self._named_folder()
        if named is not None:
            exists = (named / HEAD).exists()
            return self._check_resumable(self._open(named)) if exists else None
        return None if self._options.new else self._newest_unfinished()

    def find_or_reserve(self) -> FolderRun:
        """Return the existing run to resume, or create the folder of a new one."""
        if (found := self.find()) is not None:
            return found
        if self._options.job_dir is not None:
            folder = self._job_folder(self._options.job_dir)
            reserved = reserve(folder, self._head(parse_run_id(folder.name)))
        else:
            given = self._options.run_id
            run_id = parse_run_id(given) if given is not None else None
            reserved = self._home.reserve(self._head, run_id=run_id, now=self._now)
        return self._open(reserved.folder)

    def runs_on_other_inputs(self) -> list[str]:
        """List the ids of the pipeline's runs that have the same asset id but another input."""
        head = self._head(RunId("any"))
        return [
            run.head.run_id
            for run in self._home.runs(self._input.asset_id)
            if run.head.pipeline == head.pipeline
            and run.head.asset.input_hash != head.asset.input_hash
        ]

    def _open(self, folder: Path) -> FolderRun:
        self._home.check_path(folder.absolute())
        return FolderRun(folder, trust_times=self._options.verify is not Verify.FULL)

    def _named_folder(self) -> Path | None:
        if self._options.job_dir is not None:
            return self._job_folder(self._options.job_dir)
        if self._options.run_id is not None:
            layout = self._input.pipeline.layout
            folder = self._home.runs_folder(layout, self._input.asset_id, self._env)
            return folder / parse_run_id(self._options.run_id)
        return None

    def _job_folder(self, job_dir: str) -> Path:
        """Return the folder that `--job-dir` names; its base name is the run id."""
        folder = parse_job_dir(job_dir)
        self._home.check_path(folder)
        folder_id, given = parse_run_id(folder.name), self._options.run_id
        if given is not None and parse_run_id(given) != folder_id:
            raise Invalid(
                "--run-id does not match --job-dir",
                expected=f"a folder named {given}",
                got=folder.name,
                hint="Omit --run-id; the name of the folder is the run's id",
            )
        return folder

    def _head(self, run_id: RunId) -> RunHead:
        run_input = self._input
        return RunHead.of(
            run_input.pipeline.plan,
            producer=self._producer,
            asset=describe_asset(
                run_input.asset_id,
                run_input.source.absolute().as_uri(),
                run_input.admitted,
                run_input.inputs.digests,
            ),
            source_sha_map=dict(run_input.inputs.digests),
            run_id=run_id,
            env=self._env,
            profile=run_input.profile,
            config=run_input.config,
            created_at=self._now,
            layout=run_input.pipeline.layout,
        )

    def _check_resumable(self, run: FolderRun) -> FolderRun:
        """Return the run if it was started with the same settings; else raise Invalid.

        Changed input bytes and a renamed folder are not checked here; the gates of all stages
        report them.
        """
        frozen, wanted = run.head, self._head(RunId("any"))
        if self._options.new:
            raise Invalid(
                f"run {frozen.run_id} already exists",
                expected="a new run id with --new",
                got=frozen.run_id,
                hint="Omit --new to resume the run",
            )
        check_plan(frozen, self._input.pipeline.plan)
        then, now = (
            {"profile": head.profile, **frozen_settings(head)} for head in (frozen, wanted)
        )
        if changed := sorted(name for name in {*then, *now} if then.get(name) != now.get(name)):
            raise Invalid(
                f"run {frozen.run_id} was started with different settings",
                expected=", ".join(f"{name} {then.get(name, 'unset')}" for name in changed),
                got=", ".join(f"{name} {now.get(name, 'unset')}" for name in changed),
                hint="Start a new run with --new; the config of a run is frozen",
            )
        if frozen.layout is Layout.JOB and frozen.env != wanted.env:
            raise Invalid(
                f"job {frozen.run_id} belongs to another environment",
                expected=f"--env {frozen.env}, or none",
                got=f"--env {wanted.env}",
            )
        if frozen.asset.id != wanted.asset.id:
            raise Invalid(
                f"run {frozen.run_id} belongs to another asset",
                expected=f"asset {frozen.asset.id}",
                got=f"asset {wanted.asset.id}",
            )
        return run

    def _newest_unfinished(self) -> FolderRun | None:
        """Return the newest run with equal pipeline, asset, input and config that did not succeed.

        If all such runs succeeded and the options target an existing run, return the newest one.
        """
        key = _resume_key(self._head(RunId("any")))
        matching = [
            run
            for run in reversed(self._home.runs(self._input.asset_id))
            if _resume_key(run.head) == key
        ]
        chosen = next((run for run in matching if _is_unfinished(run)), None)
        if chosen is None and self._options.targets_existing_run:
            chosen = next((run for run in matching if _is_readable(run)), None)
        return self._open(chosen.folder) if chosen is not None else None


def _resume_key(head: RunHead) -> tuple[object, ...]:
    """Return the fields that must be equal so that an invocation resumes a run."""
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
    """Raise Invalid if the plan of the run differs from the installed plan."""
    now = (plan.pipeline, plan.names, plan.depends_on, plan.makes)
    for name, installed in zip(("pipeline", "stages", "stands_on", "makes"), now, strict=True):
        if (frozen := getattr(head, name)) != installed:
            raise Invalid(
                f"run {head.run_id} was started with another plan",
                expected=f"{name} {frozen}",
                got=f"{name} {installed}",
                hint="Start a new run with --new; the plan of a run is frozen",
            )


def _is_readable(run: FolderRun) -> bool:
    try:
        return bool(run.fold_manifest(None))
    except Invalid:
        return False


def _is_unfinished(run: FolderRun) -> bool:
    """Whether a run has not succeeded; False for a run whose records are broken."""
    try:
        return run.fold_manifest(None).status is not RunState.SUCCESS
    except Invalid:
        return False
