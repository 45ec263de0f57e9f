"""Parameters of commands, endpoints and jobs, made of the fields of models."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import Field, model_validator

from filmgate.api.application import handle_validation_error
from filmgate.api.routes import queries as query_routes
from filmgate.api.routes.jobs import make_submit_router
from filmgate.cli.commands import root
from filmgate.cli.fields import parse_fields
from filmgate.cli.lazy_group import make_command
from filmgate.cli.pipeline_group import PipelineGroup, PipelineRequest
from filmgate.cli.query import make
from filmgate.core import plan as plans
from filmgate.core.access import AuthMethod, Caller, Scope
from filmgate.core.command import Answer, CommandLine, Parameters, Printer
from filmgate.core.errors import FilmgateError, Invalid, NotPermitted, UsageError
from filmgate.core.jobs import JobRequest
from filmgate.core.pipeline import Options, Pipeline, Sets
from filmgate.core.plan import Outcome, Plan, Skipped, stage
from filmgate.core.ports import StageContext
from filmgate.core.query import Action, Query, QueryContext
from filmgate.jobs.queue import JobService, parse_options
from filmgate.services.queries import table
from filmgate.wiring import pipelines
from filmgate.wiring.settings import Settings
from support.runs import PLAN

LISA = Caller(user="lisa", scope=Scope.OPERATOR, auth_method=AuthMethod.TOKEN)


class Range(Parameters):
    """Parameters that depend on each other, and one that the command line does not offer."""

    first: Annotated[int, Field(description="First page.")] = 1
    last: Annotated[int, Field(description="Last page.")] = 9
    pages: Annotated[list[int], Field(description="Pages.")] = Field(default_factory=list)
    secret: Annotated[int, Field(ge=0, description="Secret."), CommandLine(is_offered=False)] = 0

    @model_validator(mode="after")
    def check_order(self) -> "Range":
        if self.first > self.last:
            raise ValueError("first must not be after last")
        return self


class Pages(Answer):
    """The answer."""

    pages: tuple[int, ...]


def read_pages(_context: QueryContext, parameters: Range) -> Pages:
    """List pages."""
    return Pages(pages=(parameters.first, parameters.last, *parameters.pages))


def show(answer: Pages, _parameters: Range, printer: Printer) -> None:
    printer.line(str(answer.pages))


PAGES = Query(
    name="pages",
    path="/v1/pages",
    tag="pages",
    parameters=Range,
    answer=Pages,
    run=read_pages,
    show=show,
)


def test_parameters_that_contradict_each_other_are_refused_by_a_command() -> None:
    with pytest.raises(UsageError, match="expected value error, first must not be after last"):
        parse_fields(Range, {"first": 10})
    with pytest.raises(UsageError, match="the parameters are invalid"):
        parse_fields(Range, {"secret": -1})


def test_parameters_that_contradict_each_other_are_refused_by_an_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "load", lambda name: PAGES)
    app = FastAPI()
    app.include_router(query_routes.make_router(["pages"]))
    app.add_exception_handler(RequestValidationError, handle_validation_error)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/v1/pages", params={"first": 10})

    response = asyncio.run(ask())
    assert response.status_code == 400
    assert "first must not be after last" in response.text


def test_an_option_whose_default_is_made_can_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FILMGATE_HOME", str(tmp_path))
    command = make_command("pages", make(PAGES))
    for line, printed in (([], "(1, 9)"), (["--pages", "4", "--pages", "5"], "(1, 9, 4, 5)")):
        command.main(line, standalone_mode=False)
        assert capsys.readouterr().out.strip() == printed


class Places(Options):
    """Options whose values are not of JSON types."""

    folder: Annotated[Path | None, Sets(("read.folder",))] = None
    names: Annotated[tuple[str, ...] | None, Sets(("read.names",))] = None
    hidden: Annotated[int | None, CommandLine(is_offered=False)] = None


def test_options_are_stage_settings_in_json() -> None:
    options = Places(folder=Path("/books"), names=("a", "b"))
    assert options.stage_settings() == {"read.folder": "/books", "read.names": ["a", "b"]}


class ReadSettings(plans.Settings):
    folder: str | None = None
    names: tuple[str, ...] = ()


@stage(name="read", settings=ReadSettings)
def read_letters(_context: StageContext, _settings: ReadSettings) -> Outcome:
    return Skipped("the stage reads nothing")


PLACES = Plan(pipeline="letters", stages=(read_letters,))


def of_package(monkeypatch: pytest.MonkeyPatch, options: type[Options]) -> Pipeline:
    """Install a pipeline with options."""
    pipeline = Pipeline(plan=PLACES, options=options)
    known = pipelines.load
    name = PLACES.pipeline
    monkeypatch.setattr(pipelines, "load", lambda n: pipeline if n == name else known(n))
    monkeypatch.setattr(pipelines, "names", lambda: [name])
    monkeypatch.setattr(pipelines, "load_all", lambda: iter([pipeline]))
    return pipeline


def run_command(line: list[str]) -> list[PipelineRequest]:
    handled: list[PipelineRequest] = []
    group = PipelineGroup("run", "", "Run {name}", handled.append)
    group.main([PLACES.pipeline, *line], standalone_mode=False)
    return handled


def test_an_option_that_the_command_line_does_not_offer_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_package(monkeypatch, Places)
    (request,) = run_command(["input", "--folder", "/x"])
    assert request.options.settings == {"read.folder": "/x"}


class TakenFlag(Options):
    """An option with the flag of another option."""

    size: Annotated[int | None, CommandLine(names=("--workers",))] = None


def test_an_option_with_a_flag_that_is_taken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    of_package(monkeypatch, TakenFlag)
    with pytest.raises(Invalid, match=r"have the same name: .*got --workers"):
        run_command(["input"])


class Needed(Options):
    """An option without a default."""

    book: str


def test_an_option_that_is_required_is_required_in_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = of_package(monkeypatch, Needed)
    with pytest.raises(UsageError, match="book: Field required"):
        parse_options(pipeline.plan.pipeline, JobRequest())
    routes: list[Any] = make_submit_router().routes
    body = routes[0].body_field.field_info.annotation
    assert body.model_fields["options"].is_required()


def test_a_job_without_options_has_the_settings_of_a_command_without_options() -> None:
    settings = parse_options("gameplay", JobRequest()).settings
    assert settings["extraction.source_bucket"] == "s3://game-data"


@pytest.mark.parametrize(
    ("pipeline", "settings", "error"),
    [
        ("rulebook", {"A. ocr ": True}, (Invalid, "the input of the job is missing")),
        ("gameplay", {"extraction. source_bucket": "/etc"}, (NotPermitted, "FILMGATE_SOURCES")),
    ],
)
def test_blanks_around_the_name_of_a_setting_do_not_count(
    tmp_path: Path,
    pipeline: str,
    settings: dict[str, Any],
    error: tuple[type[FilmgateError], str],
) -> None:
    jobs = JobService(Settings(home=tmp_path))
    with pytest.raises(error[0], match=error[1]):
        jobs.submit(pipeline, JobRequest(settings=settings), LISA)


def test_a_setting_of_a_job_must_not_name_something_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "filmgate.toml").touch()
    monkeypatch.chdir(tmp_path)
    request = JobRequest(settings={"manifest.output_path": "filmgate.toml"})
    with pytest.raises(NotPermitted, match=r"manifest\.output_path is not permitted"):
        JobService(Settings(home=tmp_path)).submit("gameplay", request, LISA)


def test_an_action_of_a_package_is_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    action = Action(name="pages list", parameters=Range, answer=Pages, run=read_pages, show=show)
    pipeline = Pipeline(plan=PLAN, actions=(action,))
    monkeypatch.setattr(pipelines, "load_packaged", lambda: (pipeline,))
    monkeypatch.setenv("FILMGATE_HOME", str(tmp_path))
    root().main(["pages", "list", "--last", "3"], standalone_mode=False)
    assert capsys.readouterr().out.strip() == "(1, 3)"


@pytest.mark.parametrize("name", ["report", "db", "db remove book", "my-tool report", " x", "x "])
def test_an_action_has_a_name_of_two_words(name: str) -> None:
    with pytest.raises(ValueError, match="expected two words"):
        Action(name=name, parameters=Range, answer=Pages, run=read_pages, show=show)
