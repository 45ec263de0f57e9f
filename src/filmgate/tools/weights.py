"""Weights of models from the local folder: read whole, and held against their digest."""

import hashlib
from pathlib import Path

from filmgate.core.digest import listing_digest
from filmgate.core.errors import Invalid
from filmgate.core.plan import Producer
from filmgate.core.resources import Resource

CHUNK_BYTES = 1 << 20


def digest_of_weights(path: Path) -> str:
    """sha256 of a file's bytes, or of the listing of a folder's files."""
    if path.is_file():
        return _digest(path)
    files = sorted(each for each in path.rglob("*") if each.is_file())
    return listing_digest({each.relative_to(path).as_posix(): _digest(each) for each in files})


def weights_of(resource: Resource) -> bytes:
    """A file's bytes; Invalid where they are not those that were added."""
    try:
        data = resource.path.read_bytes()
    except OSError as error:
        raise _changed(resource, error.strerror or str(error)) from error
    _check(resource, hashlib.sha256(data).hexdigest())
    return data


def folder_of(resource: Resource) -> Path:
    """A folder, every file of it just read; Invalid where it is not as it was added."""
    _check(resource, digest_of_weights(resource.path))
    return resource.path


def producer_of(resource: Resource) -> Producer:
    """Who stands behind what a model from the folder made."""
    version = resource.facts.get("version") or "unversioned"
    return Producer(name=resource.name, version=version, weights_sha256=resource.sha256)


def _check(resource: Resource, found: str) -> None:
    if found != resource.sha256:
        raise _changed(resource, f"sha256 {found}")


def _changed(resource: Resource, got: str) -> Invalid:
    return Invalid(
        f"the weights of {resource.name} changed since they were added",
        expected=f"sha256 {resource.sha256}",
        got=got,
        hint=f"filmgate models add {resource.name} FILE --replace",
    )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
