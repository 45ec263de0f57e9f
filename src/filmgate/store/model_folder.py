"""The model folder: weights that somebody added, each by name, with digest and licence."""

import fcntl
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from filmgate.core.errors import Conflict, Invalid, NotFound, first_fault
from filmgate.core.models import InstalledModel, ModelKind
from filmgate.core.resources import Resource
from filmgate.store.durable import make_folders, replace_file, sync_file, sync_folder

FACTS = "model.json"
LOCK = ".lock"
BROKEN = "0" * 64
"""The digest of a model whose facts cannot be read: nothing has it."""


class ModelFolder:
    """`{root}/{name}/model.json`, and the weights beside it, called by their digest."""

    def __init__(self, root: Path, digest: Callable[[Path], str]) -> None:
        """`digest`: of a file's bytes, or of a folder's listing."""
        self.root = root
        self._digest = digest

    def add(
        self,
        kind: ModelKind,
        source: Path,
        *,
        licence: str,
        version: str,
        replace: bool,
        tried: Callable[[Resource], None],
    ) -> InstalledModel:
        """Copy weights in, all of them or none, once `tried` has not refused them. The same
        weights again change nothing.

        Raises NotFound where the source is not there, Invalid where it has another form or
        holds links, Conflict where other weights have the name and `replace` is not set.
        """
        _check_source(kind, source)
        make_folders(self.root / kind.name)
        with self._alone():
            place = self.root / kind.name
            _clear(place)
            make_folders(place)
            suffix = source.suffix if kind.form == "file" else ""
            draft = place / f".draft{suffix}"
            try:
                size = _copy(source, draft)
                model = InstalledModel(
                    name=kind.name,
                    weights=f"{self._digest(draft)[:16]}{suffix}",
                    sha256=self._digest(draft),
                    size_bytes=size,
                    licence=licence,
                    version=version,
                )
                known = None if replace else self._known(model)
                if known is not None:
                    return known
                tried(Resource(name=kind.name, sha256=model.sha256, path=draft))
                self._put(draft, place, model)
            finally:
                _clear(place)
        return model

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else adds or removes meanwhile, here or in another process."""
        with (self.root / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def remove(self, kind: ModelKind) -> bool:
        """Take a model away; False where there is none."""
        place = self.root / kind.name
        if not place.exists():
            return False
        with self._alone():
            (place / FACTS).unlink(missing_ok=True)  # from here on nobody sees it
            shutil.rmtree(place)
        return True

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
        """Those of the named models that are there; one that is broken is there too, and fails
        whoever loads it, and nobody else."""
        found: dict[str, Resource] = {}
        for name in sorted(names):
            try:
                model = self.model(name)
            except Invalid:
                found[name] = Resource(name=name, sha256=BROKEN, path=self.root / name)
            else:
                found |= {name: self.resource(model)} if model else {}
        return found

    def resource(self, model: InstalledModel) -> Resource:
        """A model as stages see it."""
        return Resource(
            name=model.name,
            sha256=model.sha256,
            path=self.root / model.name / model.weights,
            facts={"version": model.version, "licence": model.licence},
        )

    def _known(self, model: InstalledModel) -> InstalledModel | None:
        """What is there already and is the same, whole; Conflict where it is something else."""
        known = self.model(model.name)
        if known is not None and known.sha256 != model.sha256:
            raise Conflict(
                f"there is a model {model.name} already",
                expected="a name that is free, or --replace",
                got=f"sha256 {known.sha256}",
                hint="Runs made with it keep its digest; --replace puts another in its place",
            )
        weights = self.root / model.name / known.weights if known else None
        is_whole = weights and weights.exists() and self._digest(weights) == model.sha256
        return known if is_whole else None

    def _put(self, draft: Path, place: Path, model: InstalledModel) -> None:
        """Weights first, under a name of their own; then, in one step, the facts that name them."""
        weights = place / model.weights
        if draft.is_dir():
            _remove(weights)  # the same ones, or what is left of them
        draft.replace(weights)
        sync_folder(place)
        facts = model.model_dump_json(indent=1) + "\n"
        replace_file(place / FACTS, facts.encode(), durable=True)
        for other in place.iterdir():
            if other.name not in {FACTS, model.weights} and not other.name.startswith("."):
                _remove(other)


def _check_source(kind: ModelKind, source: Path) -> None:
    """Raise NotFound or Invalid where a source is not there, or has another form."""
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
        sync_file(each)
    return sum(each.stat().st_size for each in files)


def _clear(place: Path) -> None:
    """Take away drafts, of whoever was killed too, and a folder with nothing in it."""
    for each in place.glob(".draft*"):
        _remove(each)
    if not any(place.iterdir()):
        place.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
