"""Definitions of queries, and what derives from them."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from filmgate.api.routes import jobs, runs
from filmgate.api.routes.jobs import make_submit_router
from filmgate.api.routes.queries import make_router, openapi_parameters
from filmgate.cli.commands import COMMANDS
from filmgate.cli.fields import parse_fields
from filmgate.cli.query import make
from filmgate.client import queries as client_queries
from filmgate.core.command import Answer, Parameters
from filmgate.core.errors import Invalid, UsageError
from filmgate.core.ids import ID_PATTERN
from filmgate.core.query import Action, Query
from filmgate.services.queries import table
from filmgate.services.queries.entries import BUILT_IN
from filmgate.wiring import pipelines
from support.client_methods import generate

ALL = [table.load(name) for name in BUILT_IN]


def test_the_clients_methods_are_those_that_the_definitions_give() -> None:
    written = Path(client_queries.__file__).read_text()
    assert generate() == written, "run `make client`"


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.name)
def test_a_query_is_described_and_has_a_command_if_it_has_a_summary(query: Query[Any, Any]) -> None:
    assert query.name in BUILT_IN
    assert query.description
    assert all(field.description for field in query.parameters.model_fields.values())
    summary = BUILT_IN[query.name].summary
    assert len(summary) <= 60
    if summary:
        assert COMMANDS[query.name].summary == summary
        assert query.show is not None


def test_an_invalid_argument_of_a_command_is_named_as_in_its_help() -> None:
    find = table.load("find")
    with pytest.raises(Invalid, match="ASSET is invalid"):
        parse_fields(find.parameters, {"asset_id": "a/b", "q": ["word"]})
    with pytest.raises(UsageError, match="--run is invalid"):
        parse_fields(find.parameters, {"asset_id": "a", "q": ["word"], "run_id": "a/b"})
    with pytest.raises(UsageError, match="option --limt does not exist"):
        parse_fields(find.parameters, {"asset_id": "a", "q": ["--limt", "3"]})


class NumberParameters(Parameters):
    number: Annotated[int, Field(description="A number.")] = 1
    as_json: Annotated[bool, Field(description="A name that commands have.")] = False


class NumberAnswer(Answer):
    number: int


def answer(_context: object, parameters: NumberParameters) -> NumberAnswer:
    """Return the number."""
    return NumberAnswer(number=parameters.number)


def query(
    name: str = "number", path: str = "/v1/{number}"
) -> Query[NumberParameters, NumberAnswer]:
    return Query(
        name=name,
        path=path,
        tag="numbers",
        parameters=NumberParameters,
        answer=NumberAnswer,
        run=answer,
        show=lambda found, _parameters, printer: printer.line(str(found.number)),
    )


@pytest.mark.parametrize("name", ["", "two words", "with-hyphen", "1st"])
def test_a_name_that_no_command_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a query"):
        query(name=name)
    with pytest.raises(ValueError, match="cannot be the name of an action"):
        Action(
            name=name.replace(" ", ""),
            parameters=NumberParameters,
            answer=NumberAnswer,
            run=answer,
            show=lambda _answer, _parameters, _printer: None,
        )


@pytest.mark.parametrize("path", ["v1/number", "/v1/{other}"])
def test_a_path_that_no_endpoint_can_have_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="cannot be the path of query 'number'"):
        query(path=path)


def test_a_parameter_with_the_name_of_an_option_of_all_commands_is_refused() -> None:
    with pytest.raises(Invalid, match=r"have the same name: .*as_json"):
        make(query())


@pytest.mark.parametrize(
    ("packaged", "message"),
    [
        (query(path="/v1/search"), "got /v1/search"),
        (query(path="/jobs"), "got /jobs"),
        (query(path="/v1/videos/{number}/jump"), "got /v1/videos/{}/jump"),
        (query(name="submit"), "got submit"),
    ],
)
def test_a_query_of_a_package_replaces_no_endpoint(
    monkeypatch: pytest.MonkeyPatch, packaged: Query[Any, Any], message: str
) -> None:
    routers = (jobs.router, runs.router, make_submit_router(), make_router(BUILT_IN))
    monkeypatch.setattr(table, "load", lambda name: packaged)
    taken = [route for router in routers for route in router.routes]
    with pytest.raises(Invalid, match=f"of another endpoint.*{message}"):
        make_router([packaged.name], taken)


def test_a_query_of_a_package_with_the_name_of_a_built_in_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "_of_packages", lambda: {"find": query(name="find")})
    with pytest.raises(Invalid, match=r"has the name of a built-in query.*got find"):
        table.names_of_packages()


def over_limit(schema: dict[str, Any]) -> object:
    """Return a value just over the upper limit in a schema of the API; None if it has none."""
    if "maxLength" in schema:
        return "x" * (schema["maxLength"] + 1)
    if "maxItems" in schema:
        return ["scene"] * (schema["maxItems"] + 1)
    if "maximum" in schema:
        return schema["maximum"] + 1
    return f"{'x' * 128}x" if schema.get("pattern") == ID_PATTERN else None


@pytest.mark.parametrize("query", ALL, ids=lambda query: query.name)
def test_a_command_refuses_what_exceeds_a_limit_of_the_api(query: Query[Any, Any]) -> None:
    valid = {"asset_id": "a", "q": "word", "kind": "scene", "artifact_id": "a:b:c:1"}
    given = {name: valid[name] for name in query.parameters.model_fields if name in valid}
    parse_fields(query.parameters, given)
    limited = 0
    for parameter in openapi_parameters(query)["parameters"]:
        name, value = parameter["name"], over_limit(parameter["schema"])
        if value is not None:
            limited += 1
            with pytest.raises((Invalid, UsageError), match="invalid"):
                parse_fields(query.parameters, given | {name: value})
    assert limited > 0 or query.name == "people"


def test_an_unknown_query_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="query 'guess' is unknown: expected one of find, search"):
        table.load("guess")


def test_the_entry_points_are_read_once_however_many_manifests_a_consumer_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads: list[str] = []

    def read(group: str) -> list[EntryPoint]:
        reads.append(group)
        return []

    monkeypatch.setattr(pipelines, "list_entry_points", read)
    pipelines.summaries_of.cache_clear()
    found = [pipelines.summaries_of("episode") for _ in range(50)]
    assert found[0]
    assert all(each is found[0] for each in found)
    assert len(reads) == 1


@pytest.mark.parametrize("location", ["nowhere:migrations", "__main__:migrations", ":migrations"])
def test_a_folder_of_migrations_that_does_not_exist_is_refused(
    monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    entry = EntryPoint("tally", location, pipelines.MIGRATIONS)
    monkeypatch.setattr(pipelines, "list_entry_points", lambda _group: [entry])
    pipelines.branches.cache_clear()
    with pytest.raises(Invalid, match="the migrations of pipeline 'tally' are missing"):
        pipelines.branches()
    pipelines.branches.cache_clear()
