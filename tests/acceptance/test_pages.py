"""Tutorials and how-to pages: their commands print what the pages show.

Each page runs in an environment that contains only what the page tells the reader to install. Its
`pip install` of a folder needs a package index, from which pip fetches the build backend.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import onnx_models
from support.environments import create_environment
from support.pages import (
    DOCS,
    PageCommand,
    PageFile,
    list_requirements,
    list_steps,
    matches,
)
from support.shared import shared_folder

PAGES = [
    pytest.param("tutorial/first-pipeline.md", 9, marks=pytest.mark.proof),
    pytest.param("tutorial/first-episode.md", 10, marks=pytest.mark.proof),
    pytest.param("tutorial/rulebook.md", 20, marks=pytest.mark.proof),
    pytest.param("tutorial/api.md", 28, marks=pytest.mark.proof),
    pytest.param("how-to/add-a-model.md", 3, marks=pytest.mark.proof),
    pytest.param("how-to/add-a-pipeline.md", 13, marks=pytest.mark.proof),
    pytest.param("how-to/add-a-query.md", 2, marks=pytest.mark.proof),
    pytest.param("how-to/add-an-artifact-type.md", 4, marks=pytest.mark.nightly),
    pytest.param("how-to/choose-what-is-served.md", 17, marks=pytest.mark.nightly),
    pytest.param("how-to/deploy.md", 4, marks=pytest.mark.proof),
    pytest.param("how-to/game-sessions.md", 16, marks=pytest.mark.nightly),
    pytest.param("how-to/name-people.md", 4, marks=pytest.mark.nightly),
    pytest.param("how-to/replace-a-rulebook-pass.md", 7, marks=pytest.mark.proof),
    pytest.param("how-to/sync-to-your-product.md", 14, marks=pytest.mark.nightly),
    pytest.param("how-to/test-a-stage.md", 3, marks=pytest.mark.proof),
    pytest.param("how-to/use-your-own-postgresql.md", 4, marks=pytest.mark.proof),
    pytest.param("how-to/watch-and-export.md", 5, marks=pytest.mark.proof),
]
"""Pages, and the least number of commands that each has."""

FROM_THE_DEMO = {
    "tutorial/first-episode.md",
    "how-to/add-a-query.md",
    "how-to/name-people.md",
    "how-to/sync-to-your-product.md",
    "how-to/use-your-own-postgresql.md",
    "how-to/watch-and-export.md",
}
"""Pages that begin with the home that `make demo` creates."""

OWN_DATABASE = FROM_THE_DEMO | {"tutorial/api.md"}
"""Pages that use the embedded database."""

NOT_HERE = {
    "how-to/deploy.md": (
        *("docker", "export DB_PASSWORD=", "filmgate tokens revoke", "filmgate tokens share"),
    ),
}
"""Beginnings of commands that cannot run in a test: containers, ids of examples."""

REPLACED = "postgresql://me@db.example/filmgate"
"""A database that pages name; a test uses a separate database instead."""

STEP_TIMEOUT_S = 300


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which `filmgate demo` was run, shared by all workers of the test session."""
    with shared_folder(tmp_path_factory, "demo") as folder:
        if not (folder / "complete").exists():
            demo = [sys.executable, "-m", "filmgate", "demo"]
            env = {**os.environ, "FILMGATE_HOME": ".filmgate"}
            subprocess.run(demo, cwd=folder, env=env, check=True, capture_output=True)
            (folder / "complete").touch()
        return folder / ".filmgate"


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Follows a page in a folder and an environment."""

    page: str
    folder: Path
    environment: dict[str, str]
    database_url: str

    def follow(self) -> int:
        """Write the files of the page and run its commands; return the number of commands."""
        ran = 0
        for step in list_steps((DOCS / self.page).read_text()):
            if isinstance(step, PageFile):
                (self.folder / step.path).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / step.path).write_text(step.contents)
            elif not self._is_left_out(step.line):
                self._run(step)
                ran += 1
        return ran

    def _is_left_out(self, line: str) -> bool:
        """Whether a command is not run: it is in `NOT_HERE`, or installs what is installed."""
        is_folder = any(word.startswith((".", "/")) for word in line.split())
        installs = line.startswith("pip install ") and not is_folder
        return installs or line.startswith(NOT_HERE.get(self.page, ()))

    def _run(self, step: PageCommand) -> None:
        line = step.line.replace(REPLACED, self.database_url)
        words = line.split()
        if words[0] == "export":
            for word in words[1:]:
                name, _, value = word.partition("=")
                self.environment[name] = value
            return
        if words[0] == "unset":
            for word in words[1:]:
                del self.environment[word]
            return
        done = subprocess.run(
            line,
            shell=True,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=STEP_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
        output = " ".join((done.stdout + done.stderr).split())
        expected = 0
        for shown in step.shown:
            if shown.startswith("exit "):
                expected = int(shown.removeprefix("exit "))
            else:
                assert matches(shown, output), f"{line}\n{shown}\n{output}"
        assert done.returncode == expected, f"{line}\n{output}"


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """The folder in which a page is followed; afterwards, servers that it started are stopped."""
    folder = tmp_path / "work"
    folder.mkdir()
    yield folder
    for pid in folder.glob("*.pid"):
        with suppress(ProcessLookupError):
            os.kill(int(pid.read_text()), signal.SIGTERM)
    if (folder / ".filmgate" / "pg").exists():
        stop = [sys.executable, "-m", "filmgate", "db", "stop"]
        env = {**os.environ, "FILMGATE_HOME": str(folder / ".filmgate")}
        subprocess.run(stop, env=env, check=False, capture_output=True)


@pytest.mark.parametrize(("page", "least"), PAGES)
def test_the_page_does_what_it_says(
    tmp_path: Path,
    work: Path,
    database_url: str,
    page: str,
    least: int,
    request: pytest.FixtureRequest,
) -> None:
    requirements = list_requirements((DOCS / page).read_text())
    environment = create_environment(tmp_path / "venv", requirements)
    environment["FILMGATE_HOME"] = ".filmgate"
    if page not in OWN_DATABASE:
        environment["FILMGATE_DATABASE_URL"] = database_url
    if page in FROM_THE_DEMO:
        home = request.getfixturevalue("demo_home")
        subprocess.run(["cp", "-a", home, work], check=True)  # keeps the owners of files
    if page == "how-to/add-a-model.md":
        model = work / "face_detection_yunet_2023mar.onnx"
        onnx_models.yunet(model, height=640, width=640)
    reader = Reader(page=page, folder=work, environment=environment, database_url=database_url)
    assert reader.follow() >= least, "the page has fewer commands than expected"


def test_every_page_with_commands_is_run() -> None:
    run = {str(parameter.values[0]) for parameter in PAGES}
    with_commands = {
        str(path.relative_to(DOCS))
        for folder in ("tutorial", "how-to")
        for path in (DOCS / folder).glob("*.md")
        if any(isinstance(step, PageCommand) for step in list_steps(path.read_text()))
    }
    assert with_commands == run


def test_an_environment_of_a_page_lacks_what_the_page_does_not_install(tmp_path: Path) -> None:
    environment = create_environment(tmp_path / "venv", ["filmgate[client]"])
    code = "import filmgate.client, importlib.util as u; print(u.find_spec('{}') is not None)"
    python = shutil.which("python", path=environment["PATH"])
    assert python is not None
    for name, is_there in (("httpx", "True"), ("numpy", "False"), ("hatchling", "False")):
        command = [python, "-c", code.format(name)]
        assert subprocess.check_output(command, env=environment, text=True).strip() == is_there
