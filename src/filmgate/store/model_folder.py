"""The model folder: weights that somebody added, each by name, with digest and licence."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

from filmgate.core.errors import Conflict, Invalid, NotFound, first_fault
from filmgate.core.models import InstalledModel, ModelKind
from filmgate.core.resources import Resource
from filmgate.store.durable import make_folders

FACTS = "model.json"
WEIGHTS = "weights"


class ModelFolder:
    """`{root}/{name}/model.json`, and the weights beside it."""

    def __init__(self, root: Path, digest: Callable[[Path], str]) -> None:
        """`digest`: of a file's bytes, or of a folder's listing."""
        self.root = root
        self._digest = digest

    def add(
        self, kind: ModelKind, source: Path, *, licence: str, version: str, replace: bool
    ) -> InstalledModel:
        """Copy weights in, all of them or none. The same weights again change nothing.

        Raises NotFound where the source is not there, Invalid where it has another form or
        holds links, Conflict where other weights have the name and `replace` is not set.
        """
        _check_source(kind, source)
        place, draft = self.root / kind.name, self.root / f".{kind.name}.{os.getpid()}"
        make_folders(self.root)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        try:
            name = WEIGHTS if kind.form == "folder" else f"{WEIGHTS}{source.suffix}"
            size = _copy(source, draft / name)
            model = InstalledModel(
                name=kind.name,
                weights=name,
                sha256=self._digest(draft / name),
                size_bytes=size,
                licence=licence,
                version=version,
            )
            (draft / FACTS).write_text(model.model_dump_json(indent=1) + "\n")
            self._put(draft, place, model, replace=replace)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return model

    def model(self, name: str) -> InstalledModel | None:
        """What is known of a model; None where it is not there. Invalid where it is unreadable."""
        try:
            text = (self.root / name / FACTS).read_text()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            model = InstalledModel.model_validate_json(text)
        except ValidationError as error:
            raise Invalid(
                f"{self.root / name / FACTS} cannot be read",
                expected="what `filmgate models add` writes",
                got=first_fault(error),
                hint=f"filmgate models add {name} FILE --replace",
            ) from error
        if model.name != name or model.weights != Path(model.weights).name:
            raise Invalid(f"{self.root / name / FACTS} speaks of something else", got=model.weights)
        return model

    def resources(self, names: Iterable[str]) -> dict[str, Resource]:
        """Those of the named models that are there."""
        found = {name: model for name in sorted(names) if (model := self.model(name)) is not None}
        return {name: self.resource(model) for name, model in found.items()}

    def resource(self, model: InstalledModel) -> Resource:
        """A model as stages see it."""
        return Resource(
            name=model.name,
            sha256=model.sha256,
            path=self.root / model.name / model.weights,
            facts={"version": model.version, "licence": model.licence},
        )

    def _put(self, draft: Path, place: Path, model: InstalledModel, *, replace: bool) -> None:
        known = None if replace else self.model(model.name)
        if known == model:
            return
        if known is not None:
            raise Conflict(
                f"there is a model {model.name} already",
                expected="a name that is free, or --replace",
                got=f"sha256 {known.sha256}",
                hint="Runs made with it keep its digest; --replace puts another in its place",
            )
        if place.exists():
            old = draft.with_name(f"{draft.name}.old")
            place.rename(old)
            draft.rename(place)
            shutil.rmtree(old)
        else:
            draft.rename(place)


def _check_source(kind: ModelKind, source: Path) -> None:
    if not source.exists():
        raise NotFound(f"no file or folder {source}", expected=kind.get, got="nothing")
    if source.is_dir() != (kind.form == "folder"):
        got = "a folder" if source.is_dir() else "a file"
        raise Invalid(f"{kind.name} comes as a {kind.form}", expected=kind.get, got=got)
    links = [source] if source.is_symlink() else []
    if source.is_dir():
        links += [each for each in source.rglob("*") if each.is_symlink()]
    outside = [each for each in links if not each.exists() or each.is_dir()]
    if outside:
        raise Invalid(
            f"{outside[0]} is a link that leads nowhere, or to a folder",
            expected="files",
            got=f"a link to {outside[0].readlink()}",
        )


def _copy(source: Path, target: Path) -> int:
    """Copy a file or a folder, links as what they lead to; how many bytes."""
    if source.is_dir():
        shutil.copytree(source, target)
        files = [each for each in target.rglob("*") if each.is_file()]
    else:
        shutil.copyfile(source, target)
        files = [target]
    for each in files:
        with each.open("rb") as file:
            os.fsync(file.fileno())
    return sum(each.stat().st_size for each in files)
