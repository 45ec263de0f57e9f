"""Virtual environments that contain only some of the packages of the current one."""

import importlib.metadata
import os
import sysconfig
import venv
from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import filmgate

SITE = Path(sysconfig.get_paths()["purelib"])
"""The folder of the installed packages."""


def find_dependencies(requirements: Iterable[str]) -> frozenset[str]:
    """Return the names of the distributions that pip would install for some requirements.

    Raises importlib.metadata.PackageNotFoundError if the current environment lacks one.
    """
    waiting = [Requirement(text) for text in requirements]
    found: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        entry = (name, frozenset(requirement.extras))
        if entry in found:
            continue
        found.add(entry)
        for text in importlib.metadata.distribution(name).requires or []:
            needed = Requirement(text)
            environments = [{"extra": extra} for extra in (*requirement.extras, "")]
            if needed.marker is None or any(map(needed.marker.evaluate, environments)):
                waiting.append(needed)
    return frozenset(name for name, _ in found)


@cache
def _files_by_distribution() -> dict[str, tuple[PurePosixPath, ...]]:
    """Return the installed files of each distribution, relative to `SITE`."""
    return {
        canonicalize_name(distribution.name): tuple(
            file for file in distribution.files or () if ".." not in file.parts
        )
        for distribution in importlib.metadata.distributions(path=[str(SITE)])
    }


def _link_packages(site: Path, names: frozenset[str]) -> None:
    """Link the files of some distributions. A folder is linked as a whole if no other distribution
    has files in it, so that compiled modules are shared."""
    files = _files_by_distribution()
    foreign = {
        folder for name in files.keys() - names for file in files[name] for folder in file.parents
    }
    for file in (file for name in names for file in files[name]):
        folders = [folder for folder in reversed(file.parents) if folder.parts]
        target = next((folder for folder in folders if folder not in foreign), file)
        link = site / target
        if not link.is_symlink() and (SITE / target).exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(SITE / target)


def create_environment(folder: Path, requirements: Iterable[str]) -> dict[str, str]:
    """Create a virtual environment with Filmgate, pip and some requirements.

    Returns the environment variables with which the commands `filmgate`, `pip` and `python` are
    those of the environment. Packages that it lacks cannot be imported.
    """
    venv.create(folder)
    site = next(folder.glob("lib/python*/site-packages"))
    _link_packages(site, find_dependencies([*requirements, "filmgate", "pip"]))
    for editable in site.glob("*filmgate*.pth"):
        editable.unlink()
    (site / "filmgate.pth").write_text(f"{Path(filmgate.__file__).parents[1]}\n")
    python = folder / "bin" / "python"
    for command in ("pip", "filmgate"):
        script = folder / "bin" / command
        script.write_text(f'#!/bin/sh\nexec {python} -m {command} "$@"\n')
        script.chmod(0o755)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**variables, "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
