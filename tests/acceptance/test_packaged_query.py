"""A query of an installed package, over command line, HTTP and client."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from filmgate.core.command import Answer
from filmgate.core.errors import UsageError
from support.archive import ingest_artifacts, scene_payload
from support.served import Served, served

FILE = re.compile(r"```\w+ file=(\S+)\n(.*?)```", re.DOTALL)
PAGE = Path(__file__).parents[2] / "docs/how-to/add-a-query.md"


class TallyAnswer(Answer):
    """The answer as a client knows it."""

    counts: dict[str, int]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package of the how-to page, as an installer would leave it."""
    folder = tmp_path_factory.mktemp("site")
    blocks = dict(FILE.findall(PAGE.read_text()))
    (folder / "tally.py").write_text(blocks["tally/tally.py"])
    info = folder / "tally-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tally\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[filmgate.queries]\ntally = tally:TALLY\n")
    return folder


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, module_database_url: str, package: Path
) -> Iterator[Served]:
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        scenes = [(n, n + 1, scene_payload(n)) for n in range(3)]
        ingest_artifacts(connection, {"scene": scenes})
    home = tmp_path_factory.mktemp("tally") / "home"
    path = ":".join([str(package), *filter(None, sys.path)])
    with served(home, FILMGATE_DATABASE_URL=module_database_url, PYTHONPATH=path) as running:
        yield running


def test_the_command_takes_the_parameters_and_prints_the_answer(service: Served) -> None:
    assert service.filmgate("tally", "film").split() == ["type", "artifacts", "scene", "3"]
    assert service.filmgate("tally", "film", "--least", "4", "--json") == '{"counts":{}}'
    assert "Leave out types with fewer artifacts" in service.filmgate("tally", "--help")


def test_the_client_asks_the_endpoint(service: Served) -> None:
    path = "/v1/videos/{asset_id}/tally"
    with service.client() as client:
        answer = client.query(path, {"asset_id": "film", "least": 2}, TallyAnswer)
        assert answer.counts == {"scene": 3}
        with pytest.raises(UsageError, match=r"query\.least is invalid"):
            client.query(path, {"asset_id": "film", "least": -1}, TallyAnswer)
        with pytest.raises(UsageError, match="parameter 'most' is unknown"):
            client.query(path, {"asset_id": "film", "most": 1}, TallyAnswer)


def test_the_api_description_contains_the_query(service: Served) -> None:
    with service.http() as http:
        paths = http.get("/openapi.json").json()["paths"]
    operation = paths["/v1/videos/{asset_id}/tally"]["get"]
    assert operation["description"] == "Count the artifacts of a video by type, in all runs."
    assert [each["name"] for each in operation["parameters"]] == ["asset_id", "least"]
