"""Read model weights from the model folder, and verify them against their digest."""

import hashlib
from pathlib import Path

from filmgate.core.digest import listing_digest, sha256_hex
from filmgate.core.errors import Invalid
from filmgate.core.plan import Producer
from filmgate.core.resources import Resource


def digest_of_weights(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, or of the listing of a folder's files."""
    if path.is_file():
        return _digest(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return listing_digest({file.relative_to(path).as_posix(): _digest(file) for file in files})


def read_weights(resource: Resource) -> bytes:
    """Read a weights file; raise Invalid if it is not the file that was added."""
    try:
        data = resource.path.read_bytes()
    except OSError as error:
        raise _changed(resource, error.strerror or str(error)) from error
    _check(resource, sha256_hex(data))
    return data


def verified_folder(resource: Resource) -> Path:
    """Read and verify all files of a weights folder, and return the folder.

    Raises Invalid if they are not the files that were added.
    """
    _check(resource, digest_of_weights(resource.path))
    return resource.path


def model_producer(resource: Resource) -> Producer:
    """Return the producer of results of a model from the model folder."""
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
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
