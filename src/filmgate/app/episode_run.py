"""Running an episode: which run is meant, on which inputs, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filmgate.core.answers import Receipt
from filmgate.core.digest import digest_of
from filmgate.core.errors import ExitCode, Invalid
from filmgate.core.ids import (
    AssetId,
    RunId,
    asset_id_from_name,
    parse_asset_id,
    parse_run_id,
)
from filmgate.core.manifest import Manifest
from filmgate.core.records import Asset, RunHead
from filmgate.core.states import RunState, StageState
from filmgate.engine.inputs import Inputs, read_inputs
from filmgate.engine.runner import Request
from filmgate.media.container import MediaFacts
from filmgate.pipelines.episode.plan import DEFAULT_PROFILE, PLAN, resolve
from filmgate.store.home import Home
from filmgate.store.run_directory import HEAD, FolderRun, reserve
from filmgate.tools.containers import inspect
from filmgate.tools.subtitles import side_car_of


@dataclass(frozen=True, kw_only=True)
class EpisodeOptions:
    """What the caller asks for; empty means the usual."""

    asset_id: str | None = None
    run_id: str | None = None
    new: bool = False
    job_dir: str | None = None
    profile: str = DEFAULT_PROFILE
    stages: tuple[str, ...] = ()
    resume_from: str | None = None
    force: bool = False
    repair: bool = False
    ingest: bool = True

    def request(self) -> Request:
        """Which stages may run, and how; Invalid where that is none."""
        chosen = PLAN.select(self.stages)
        if self.resume_from is not None:
            chosen &= PLAN.from_stage(self.resume_from)
        if not chosen:
            raise Invalid(
                "no stage is left to run",
                expected=f"a stage of {', '.join(self.stages)} from {self.resume_from} on",
                got="none",
            )
        named = chosen if self.stages else frozenset()
        return Request(stages=chosen, named=named, force=self.force, repair=self.repair)


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """How a run stands after an invocation."""

    manifest: Manifest
    folder: Path
    stages: frozenset[str]
    """Those that were asked for."""
    receipt: Receipt | None
    notes: tuple[str, ...]
    """What a person should know besides: why it was not ingested, other films of that name."""

    @property
    def exit_code(self) -> ExitCode:
        """Told by the stages that were asked for, and those they stand on."""
        names = self.stages.union(*(PLAN.ancestors(name) for name in self.stages))
        states = {self.manifest.stages[name].status for name in names}
        if StageState.FAILED in states:
            return ExitCode.STAGE_FAILED
        return ExitCode.BLOCKED if StageState.BLOCKED in states else ExitCode.DONE


@dataclass(frozen=True, kw_only=True)
class EpisodeInput:
    """A video that was admitted, with the files beside it that belong to it."""

    video: Path
    facts: MediaFacts
    inputs: Inputs


def admit(video: Path, hashed: Callable[[float, float], None]) -> EpisodeInput:
    """Look at the video before anything is made; Invalid or NotFound where it will not do.

    `hashed` is told how many bytes of how many have been read.
    """
    facts = inspect(video)
    side_car = side_car_of(video)
    files = {path.name: path for path in (video, side_car) if path is not None}
    for name in files:
        if not name.isprintable():
            raise Invalid(
                "the file's name cannot be written down",
                expected="letters, digits, spaces and signs in UTF-8",
                got=ascii(name),
                hint="Rename it",
            )
    return EpisodeInput(video=video, facts=facts, inputs=read_inputs(files, hashed))


def find_or_reserve(
    home: Home,
    given: EpisodeInput,
    options: EpisodeOptions,
    *,
    producer: str,
    env: str,
    now: datetime,
) -> FolderRun:
    """The run that is meant: the one named, the newest unfinished of its like, or a new one."""
    asset_id = _asset_id(given, options)
    config = resolve(options.profile)

    def head(run_id: RunId) -> RunHead:
        return _head(
            given,
            asset_id=asset_id,
            run_id=run_id,
            config=config,
            profile=options.profile,
            producer=producer,
            env=env,
            now=now,
        )

    if options.job_dir is not None:
        folder = _job_folder(options.job_dir, options.run_id)
        run_id = parse_run_id(folder.name)
        if (folder / HEAD).exists():
            return _resumable(FolderRun(folder), head(run_id), new=options.new)
        return reserve(folder, head(run_id))
    if options.run_id is not None:
        run_id = parse_run_id(options.run_id)
        folder = home.runs_folder(asset_id) / run_id
        if (folder / HEAD).exists():
            return _resumable(FolderRun(folder), head(run_id), new=options.new)
        return home.reserve(asset_id, head, run_id=run_id, now=now)
    unfinished = None if options.new else _newest_unfinished(home, asset_id, head(RunId("any")))
    return unfinished or home.reserve(asset_id, head, run_id=None, now=now)


def other_inputs(home: Home, run: FolderRun) -> list[str]:
    """Earlier runs of the asset that were made of other bytes."""
    mine = run.head.asset
    return [
        earlier.head.run_id
        for earlier in home.runs(AssetId(mine.id))
        if earlier.head.asset.input_hash != mine.input_hash
    ]


def _asset_id(given: EpisodeInput, options: EpisodeOptions) -> AssetId:
    if options.asset_id is not None:
        return parse_asset_id(options.asset_id)
    return asset_id_from_name(given.video.name)


def _head(
    given: EpisodeInput,
    *,
    asset_id: AssetId,
    run_id: RunId,
    config: dict[str, Any],
    profile: str,
    producer: str,
    env: str,
    now: datetime,
) -> RunHead:
    video, facts = given.video, given.facts
    return RunHead(
        producer=producer,
        pipeline=PLAN.pipeline,
        stages=PLAN.names,
        stands_on=PLAN.stands_on,
        makes=PLAN.makes,
        asset=Asset(
            id=asset_id,
            input_hash=given.inputs.digests[video.name],
            uri=video.absolute().as_uri(),
            size_bytes=video.stat().st_size,
            media=_media(facts),
        ),
        source_sha_map=dict(given.inputs.digests),
        run_id=run_id,
        env=env,
        profile=profile,
        config=config,
        config_hash=digest_of(config),
        created_at=now,
    )


def _media(facts: MediaFacts) -> dict[str, Any]:
    return {
        "format": facts.format,
        "video": facts.video.codec if facts.video else None,
        "audio": [track.codec for track in facts.audio],
        "subtitles": [track.codec for track in facts.subtitles],
    }


def _job_folder(job_dir: str, run_id: str | None) -> Path:
    """The run's own folder; its base name is the run's id."""
    if not job_dir or ".." in Path(job_dir).parts or "\0" in job_dir:
        raise Invalid(
            "a job folder is named straight",
            expected="a path without ..",
            got=repr(job_dir),
            hint="Give --job-dir the folder's real path",
        )
    folder = Path(job_dir).absolute()
    named = parse_run_id(folder.name)
    if run_id is not None and parse_run_id(run_id) != named:
        raise Invalid(
            "--job-dir and --run-id disagree",
            expected=f"a folder called {run_id}",
            got=folder.name,
            hint="The folder's base name is the run's id; leave --run-id out",
        )
    return folder


def _resumable(run: FolderRun, wanted: RunHead, *, new: bool) -> FolderRun:
    """The run, where what was frozen in it is what is asked for now; else Invalid.

    Other input bytes are left to the gates, which say so of every stage.
    """
    frozen = run.head
    if new:
        raise Invalid(
            f"there is a run {frozen.run_id} already",
            expected="a new run id with --new",
            got=frozen.run_id,
            hint="Leave --new out to go on with it",
        )
    for what in ("pipeline", "profile", "config_hash"):
        stands, asked = getattr(frozen, what), getattr(wanted, what)
        if stands != asked:
            raise Invalid(
                f"run {frozen.run_id} was begun otherwise",
                expected=f"{what} {stands}",
                got=f"{what} {asked}",
                hint="A run's config is frozen; begin another with --new",
            )
    if frozen.asset.id != wanted.asset.id:
        raise Invalid(
            f"run {frozen.run_id} is of another asset",
            expected=f"asset {frozen.asset.id}",
            got=f"asset {wanted.asset.id}",
        )
    return run


def _newest_unfinished(home: Home, asset_id: AssetId, wanted: RunHead) -> FolderRun | None:
    """The newest run of the same pipeline, asset, input and config that is no success yet."""
    for run in reversed(home.runs(asset_id)):
        head = run.head
        is_alike = (head.pipeline, head.source_sha_map, head.config_hash, head.profile) == (
            wanted.pipeline,
            wanted.source_sha_map,
            wanted.config_hash,
            wanted.profile,
        )
        if is_alike and _is_unfinished(run):
            return run
    return None


def _is_unfinished(run: FolderRun) -> bool:
    """Whether there is something left to do; a run whose records are broken is left alone."""
    try:
        return run.refold(None).status is not RunState.SUCCESS
    except Invalid:
        return False
