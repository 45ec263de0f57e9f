"""Tutorials and how-to pages: their commands print what the pages show."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import venv
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from support.shared import shared_folder

DOCS = Path(__file__).parents[2] / "docs"
NIGHTLY = pytest.mark.nightly
PAGES = [
    pytest.param("tutorial/first-pipeline.md", 9, marks=pytest.mark.proof),
    pytest.param("how-to/test-a-stage.md", 3, marks=pytest.mark.proof),
    pytest.param("how-to/add-an-artifact-type.md", 4, marks=NIGHTLY),
    pytest.param("how-to/choose-what-is-served.md", 17, marks=NIGHTLY),
    pytest.param("tutorial/first-episode.md", 10, marks=pytest.mark.proof),
    pytest.param("how-to/name-people.md", 4, marks=NIGHTLY),
    pytest.param("how-to/sync-to-your-product.md", 14, marks=NIGHTLY),
    pytest.param("tutorial/rulebook.md", 20, marks=pytest.mark.proof),
    pytest.param("how-to/replace-a-rulebook-pass.md", 7, marks=pytest.mark.proof),
    pytest.param("how-to/game-sessions.md", 16, marks=NIGHTLY),
    pytest.param("tutorial/api.md", 28, marks=pytest.mark.proof),
]
SYNC = "how-to/sync-to-your-product.md"
FROM_THE_DEMO = {"tutorial/first-episode.md", "how-to/name-people.md", SYNC}
"""Pages that begin with the home that `make demo` creates."""

OWN_DATABASE = FROM_THE_DEMO | {"tutorial/api.md"}
"""Pages that use the embedded database."""

BLOCK = re.compile(r"^```(?:\w+ file=(\S+)|console)\n(.*?)^```$", re.M | re.S)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a virtual environment in which a page may install packages; it includes
    the packages of the current one."""
    folder = tmp_path / "venv"
    venv.create(folder)
    site = next(folder.glob("lib/python*/site-packages"))
    here = sysconfig.get_paths()["purelib"]
    (site / "parent.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    python = folder / "bin" / "python"
    for command, module in (("pip", "pip"), ("filmgate", "filmgate")):
        script = folder / "bin" / command
        script.write_text(f'#!/bin/sh\nexec {python} -m {module} "$@"\n')
        script.chmod(0o755)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    return {**os.environ, **quiet, "PATH": path, "FILMGATE_HOME": ".filmgate"}


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


def commands(console: str) -> list[tuple[str, list[str]]]:
    """Return each command of a console block, with the lines that the page shows after it."""
    found: list[tuple[str, list[str]]] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


def stop_servers(work: Path) -> None:
    """Stop servers that a failed page has started and not stopped."""
    for pid in work.glob("*.pid"):
        with suppress(ProcessLookupError):
            os.kill(int(pid.read_text()), signal.SIGTERM)


@pytest.mark.parametrize(("page", "least"), PAGES)
def test_the_page_does_what_it_says(
    tmp_path: Path,
    environment: dict[str, str],
    database_url: str,
    page: str,
    least: int,
    request: pytest.FixtureRequest,
) -> None:
    if page not in OWN_DATABASE:
        environment["FILMGATE_DATABASE_URL"] = database_url
    work = tmp_path / "work"
    work.mkdir()
    request.addfinalizer(partial(stop_servers, work))
    if page in FROM_THE_DEMO:
        home = request.getfixturevalue("demo_home")
        subprocess.run(["cp", "-a", home, work], check=True)  # keeps the owners of files
    ran = 0
    for name, contents in BLOCK.findall((DOCS / page).read_text()):
        if name:
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(contents)
            continue
        for command, shown in commands(contents):
            if command.startswith("export "):
                parts = command.removeprefix("export ").split()
                environment |= dict(part.split("=", 1) for part in parts)
                continue
            done = subprocess.run(
                command,
                shell=True,
                cwd=work,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            output = " ".join((done.stdout + done.stderr).split())
            expected = 0
            for line in shown:
                if line.startswith("exit "):
                    expected = int(line.removeprefix("exit "))
                    continue
                pattern = r".*?".join(re.escape(word) for word in line.split("  ") if word)
                assert re.search(pattern, output), f"{command}\n{line}\n{output}"
            assert done.returncode == expected, f"{command}\n{output}"
            ran += 1
    assert ran >= least, "the page has fewer commands than expected"
