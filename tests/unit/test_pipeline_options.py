"""Options of pipelines: what they may be named, and what they set for every face."""

from collections.abc import Callable
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from filmgate.cli.pipeline_group import _parameters
from filmgate.cli.run import group
from filmgate.core.command import CommandLine
from filmgate.core.errors import Invalid, NotFound, UsageError
from filmgate.core.files import binary
from filmgate.core.jobs import JobRequest
from filmgate.core.pipeline import Options, Pipeline, Sets
from filmgate.core.plan import Done, Outcome, Plan, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.core.progress import NullObserver, ignore_progress
from filmgate.core.run_request import COMMAND_PARAMETERS, RunRequest
from filmgate.db.jobs import JobTask
from filmgate.jobs.job_process import _options
from filmgate.jobs.queue import parse_options
from filmgate.services.run_options import RunOptions
from filmgate.services.runs import Runs
from filmgate.wiring import pipelines
from filmgate.wiring import settings as installation
from support.runs import PRODUCER

OUTPUT = binary("out.bin", schema="test.out", media_type="application/octet-stream")


class Mode(StrEnum):
    FAST = "fast"
    SLOW = "slow"


class MakeSettings(Settings):
    level: int = 1
    mode: Mode = Mode.FAST
    where: str | None = None
    since: date | None = None
    names: tuple[str, ...] = ()


@stage(makes=[OUTPUT], settings=MakeSettings)
def make(context: StageContext, settings: MakeSettings) -> Outcome:
    with context.create(OUTPUT) as file:
        file.write(repr(settings).encode())
    return Done(producer=PRODUCER)


class MakeOptions(Options):
    level: Annotated[int, Field(description="Level."), Sets(("make.level",))] = 4
    mode: Annotated[Mode | None, Field(description="Mode."), Sets(("make.mode",))] = None
    where: Annotated[Path | None, Field(description="Path."), Sets(("make.where",))] = None
    since: Annotated[date | None, Field(description="Day."), Sets(("make.since",))] = None
    names: Annotated[tuple[str, ...], Field(description="Names."), Sets(("make.names",))] = ()


class NamedOptions(Options):
    level: Annotated[int, Field(description="Level."), Sets(("make.level",))]


def pipeline_with(options: type[Options], **values: Any) -> Pipeline:
    return Pipeline(plan=Plan(pipeline="made", stages=(make,)), options=options, **values)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Options]], None]:
    """Install a pipeline `made` with the given options."""

    def install(options: type[Options]) -> None:
        monkeypatch.setattr(pipelines, "load", lambda _name: pipeline_with(options))

    return install


def test_options_of_all_types_set_values_that_json_can_contain() -> None:
    options = MakeOptions(mode=Mode.SLOW, where=Path("a"), since=date(2026, 1, 2), names=("x",))
    assert options.stage_settings() == {
        "make.level": 4,
        "make.mode": "slow",
        "make.where": "a",
        "make.since": "2026-01-02",
        "make.names": ["x"],
    }
    config = pipeline_with(MakeOptions).resolve("balanced", options.stage_settings())
    assert config["make"]["since"] in {date(2026, 1, 2), "2026-01-02"}


def test_a_job_without_options_has_the_settings_of_a_command_without_options(
    made: Callable[[type[Options]], None],
) -> None:
    made(MakeOptions)
    by_command = RunOptions().with_pipeline_options(MakeOptions())
    assert parse_options("made", JobRequest(asset_id="film")).settings == by_command.settings
    assert by_command.settings["make.level"] == 4
    assert by_command.has_only_defaults


def test_a_job_without_a_required_option_is_refused(made: Callable[[type[Options]], None]) -> None:
    made(NamedOptions)
    with pytest.raises(UsageError, match="option of the pipeline made is invalid"):
        parse_options("made", JobRequest(asset_id="film"))


def test_settings_by_name_take_precedence_over_options() -> None:
    options = RunOptions(settings={"make.level": 9}).with_pipeline_options(MakeOptions(level=3))
    assert options.settings["make.level"] == 9
    assert not options.has_only_defaults


@pytest.mark.parametrize("name", ["source", "profile", "as_json", "job_dir", "verify"])
def test_the_name_of_an_option_of_every_run_is_refused(name: str) -> None:
    taken = type("Taken", (Options,), {"__annotations__": {name: str | None}, name: None})
    with pytest.raises(ValueError, match=f"options of every run: {name}"):
        pipeline_with(taken)


def test_the_names_that_are_refused_are_those_of_the_command() -> None:
    of_the_command = {each.name for each in _parameters(pipeline_with(Options))}
    names = of_the_command | RunOptions.model_fields.keys()
    assert names - RunRequest.model_fields.keys() == COMMAND_PARAMETERS


@pytest.mark.parametrize("flag", ["--jobs", "--json", "--help", "--no-ingest"])
def test_the_flag_of_an_option_of_every_run_is_refused(
    flag: str, made: Callable[[type[Options]], None]
) -> None:
    class Taken(Options):
        mine: Annotated[int | None, Field(description="Mine."), CommandLine(names=(flag,))] = None

    made(Taken)
    with pytest.raises(Invalid, match=f"have the same name: .*got {flag}"):
        group.load("made")


@pytest.mark.parametrize("names", [("make.nothing",), ("other.level",), "make.level"])
def test_an_option_that_sets_an_unknown_setting_is_refused(names: Any) -> None:
    class Wrong(Options):
        level: Annotated[int | None, Field(description="Level."), Sets(names)] = None

    with pytest.raises(ValueError, match="the option 'level' of 'made' sets unknown settings"):
        pipeline_with(Wrong)


def test_the_default_profile_exists_if_only_others_are_listed() -> None:
    pipeline = pipeline_with(Options, profiles={"fast": {"make": {"level": 2}}})
    assert pipeline.resolve("balanced")["make"]["level"] == 1
    assert pipeline.resolve("fast")["make"]["level"] == 2


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FILMGATE_HOME", str(tmp_path / "home"))
    path = tmp_path / "film.txt"
    path.write_text("film")
    return path


def run(runs: Runs, source: Path | None, options: RunOptions) -> str:
    report = runs.run("made", source, options, NullObserver(), ignore_progress)
    return (report.folder / "out.bin").read_text()


def test_a_named_run_is_resumed_with_its_own_input_and_settings(
    made: Callable[[type[Options]], None], source: Path
) -> None:
    made(MakeOptions)
    runs = Runs(installation.load())
    first = RunOptions(run_id="r1", ingest=False).with_pipeline_options(MakeOptions(level=7))
    assert "level=7" in run(runs, source, first)
    again = RunOptions(run_id="r1", ingest=False).with_pipeline_options(MakeOptions())
    assert "level=7" in run(runs, None, again)
    with pytest.raises(NotFound, match="run 'r2' of pipeline made does not exist"):
        run(runs, None, again.with_values(run_id="r2"))
    other = RunOptions(run_id="r1", ingest=False).with_pipeline_options(MakeOptions(level=8))
    with pytest.raises(Invalid, match="was started with different settings"):
        run(runs, None, other)


def test_a_worker_executes_a_run_with_the_settings_with_which_it_was_reserved(
    made: Callable[[type[Options]], None], source: Path
) -> None:
    class LaterOptions(MakeOptions):
        level: Annotated[int, Field(description="Level."), Sets(("make.level",))] = 5

    made(MakeOptions)
    request = JobRequest(source=str(source), run_id="r1")
    runs = Runs(installation.load())
    runs.reserve("made", source, parse_options("made", request), lambda _head: None)
    made(LaterOptions)
    task = JobTask(
        job_id=1,
        tries=1,
        failures=0,
        pipeline="made",
        source=str(source),
        asset_id="film",
        run_id="r1",
        request=request,
    )
    assert _options(task, runs).settings["make.level"] == 4
