"""The model folder: installed model weights, by model name, with digest and licence."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

from filmgate.core.errors import Conflict, Invalid, NotFound, first_fault
from filmgate.core.models import InstalledModel, ModelKind
from filmgate.core.resources import Resource
from filmgate.store.durable import locked, make_folders, replace_file, sync_file, sync_folder

MODEL_FILE = "model.json"
LOCK = ".lock"
UNREADABLE_DIGEST = "0" * 64
"""Digest of a model whose `model.json` cannot be read; no file has it."""


class ModelFolder:
    """The files `{root}/{name}/model.json`; weights are stored beside them, named by digest."""

    def __init__(self, root: Path, digest: Callable[[Path], str]) -> None:
        """`digest` computes the sha256 of a file's bytes, or of a folder's listing."""
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
        check: Callable[[Resource], None],
    ) -> InstalledModel:
        """Copy weights into the folder, all of them or none, after `check` has accepted them.

        Adding the same weights again changes nothing. Raises NotFound if the source does not
        exist, Invalid if it has the wrong form or contains broken links, Conflict if other
        weights have the name and `replace` is not set. Exceptions of `check` are not caught.
        """
        _check_source(kind, source)
        make_folders(self.root / kind.name)
        with locked(self.root / LOCK):
            folder = self.root / kind.name
            _remove_drafts(folder)
            make_folders(folder)
            suffix = source.suffix if kind.form == "file" else ""
            draft = folder / f".draft{suffix}"
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
                existing = None if replace else self._find_same(model)
                if existing is not None:
                    return existing
                check(Resource(name=kind.name, sha256=model.sha256, path=draft))
                self._install(draft, folder, model)
            finally:
                _remove_drafts(folder)
        return model

    def remove(self, kind: ModelKind) -> bool:
        """Remove a model; return False if there is none."""
        folder = self.root / kind.name
        if not folder.exists():
            return False
        with locked(self.root / LOCK):
            (folder / MODEL_FILE).unlink(missing_ok=True)  # without it, the model is not found
            shutil.rmtree(folder)
        return True

    def model(self, name: str) -> InstalledModel | None:
        """Facts of an installed model; None if it is not installed.

        Raises Invalid if its `model.json` cannot be read.
        """
        try:
            text = (self.root / name / MODEL_FILE).read_text()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            model = InstalledModel.model_validate_json(text)
        except ValidationError as error:
            raise Invalid(
                f"{self.root / name / MODEL_FILE} cannot be read",
                expected="a file that `filmgate models add` wrote",
                got=first_fault(error),
                hint=f"Install the model again: filmgate models add {name} FILE --replace",
            ) from error
        if model.name != name or model.weights != Path(model.weights).name:
            raise Invalid(
                f"{self.root / name / MODEL_FILE} does not describe model {name}",
                got=model.weights,
            )
        return model

    def resources(self, names: Iterable[str]) -> dict[str, Resource]:
        """Return the installed models among `names`, as resources by name.

        A model with an unreadable `model.json` is included: only a stage that loads it fails.
        """
        found: dict[str, Resource] = {}
        for name in sorted(names):
            try:
                model = self.model(name)
            except Invalid:
                found[name] = Resource(name=name, sha256=UNREADABLE_DIGEST, path=self.root / name)
            else:
                found |= {name: self.resource(model)} if model else {}
        return found

    def resource(self, model: InstalledModel) -> Resource:
        """Return the resource that represents a model to stages."""
        return Resource(
            name=model.name,
            sha256=model.sha256,
            path=self.root / model.name / model.weights,
            facts={"version": model.version, "licence": model.licence},
        )

    def _find_same(self, model: InstalledModel) -> InstalledModel | None:
        """Return the installed model if its weights are the same and intact; else None.

        Raises Conflict if the installed model has other weights.
        """
        existing = self.model(model.name)
        if existing is not None and existing.sha256 != model.sha256:
            raise Conflict(
                f"model {model.name} already exists with other weights",
                expected="an unused name, or --replace",
                got=f"weights with sha256 {existing.sha256}",
                hint="Use --replace to replace it; earlier runs still name the old digest",
            )
        weights = self.root / model.name / existing.weights if existing else None
        is_intact = weights and weights.exists() and self._digest(weights) == model.sha256
        return existing if is_intact else None

    def _install(self, draft: Path, folder: Path, model: InstalledModel) -> None:
        """Install the weights under their digest, then replace `model.json`, which names them."""
        weights = folder / model.weights
        if draft.is_dir():
            _remove(weights)  # the same weights, or remains of them
        draft.replace(weights)
        sync_folder(folder)
        facts = model.model_dump_json(indent=1) + "\n"
        replace_file(folder / MODEL_FILE, facts.encode(), durable=True)
        for other in folder.iterdir():
            if other.name not in {MODEL_FILE, model.weights} and not other.name.startswith("."):
                _remove(other)


def _check_source(kind: ModelKind, source: Path) -> None:
    """Raise NotFound if the source does not exist, Invalid if it has the wrong form."""
    if not source.exists():
        raise NotFound(f"{source} does not exist", expected=kind.source, got="no file or folder")
    if source.is_dir() != (kind.form == "folder"):
        got = "a folder" if source.is_dir() else "a file"
        raise Invalid(f"{source} is not a {kind.form}", expected=kind.source, got=got)
    links = [source] if source.is_symlink() else []
    if source.is_dir():
        links += [path for path in source.rglob("*") if path.is_symlink()]
    bad_links = [link for link in links if not link.exists() or link.is_dir()]
    if bad_links:
        raise Invalid(
            f"{bad_links[0]} is a broken link, or a link to a folder",
            expected="files",
            got=f"a link to {bad_links[0].readlink()}",
        )


def _copy(source: Path, target: Path) -> int:
    """Copy a file or a folder, following links; return the number of bytes."""
    if source.is_dir():
        shutil.copytree(source, target)
        files = [path for path in target.rglob("*") if path.is_file()]
    else:
        shutil.copyfile(source, target)
        files = [target]
    for file in files:
        sync_file(file)
    return sum(file.stat().st_size for file in files)


def _remove_drafts(folder: Path) -> None:
    """Remove drafts, including those of killed processes, and the folder if it is empty."""
    for draft in folder.glob(".draft*"):
        _remove(draft)
    if not any(folder.iterdir()):
        folder.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
