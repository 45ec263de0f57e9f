"""The port `ObjectStore` on obstore: folders, and buckets that speak S3."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, S3Store

from filmgate.core.errors import FilmgateError, Invalid, NotFound, NotPermitted, Unavailable
from filmgate.core.objects import ObjectEntry
from filmgate.store.durable import inside, make_folders, sync_file, sync_folder

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]

    from obstore import ObjectMeta
    from obstore.store import ClientConfig, RetryConfig

PAGE = 1000
"""Keys a request of a listing, at most; S3 gives no more."""

CHUNK_BYTES = 1 << 20
RETRIES = 4
RETRY_TIMEOUT = timedelta(seconds=30)
TIMEOUT = timedelta(seconds=60)
CONNECT_TIMEOUT = timedelta(seconds=5)
LONGEST_SAID = 300

Auth = Literal["auto", "environment", "profile", "anonymous"]


@dataclass(frozen=True, kw_only=True)
class S3Options:
    """How buckets are reached; what is not said here is taken from the usual `AWS_…` variables."""

    endpoint: str | None = None
    region: str | None = None
    path_style: bool = True
    """Whether the bucket stands in the path of an address, not in its host name."""
    auth: Auth = "auto"
    """`environment`: keys in variables, web identity, container or instance role; `profile`: of
    the shared configuration files; `anonymous`; `auto`: a profile where one is named."""
    profile: str | None = None


class BucketObjects:
    """Objects in a bucket that speaks S3, below a prefix."""

    def __init__(self, url: str, store: "S3Store | LocalStore") -> None:
        self.url = url
        self._store = store

    def create(self, key: str, data: bytes | Path) -> bool:
        """Make an object, or leave the one that is there. A Path goes up in parts."""
        if isinstance(data, Path):
            if self.entry(key) is not None:
                return False
            with self._told(key):
                obstore.put(self._store, key, data)
            return True
        with self._told(key):
            try:
                obstore.put(self._store, key, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def entry(self, key: str) -> ObjectEntry | None:
        """What is known of an object without reading it."""
        try:
            with self._told(key):
                return _entry(obstore.head(self._store, key))
        except NotFound:
            return None

    def open(self, key: str) -> BinaryIO:
        """Read an object from its start to its end."""
        with self._told(key):
            chunks = iter(obstore.get(self._store, key).stream(min_chunk_size=CHUNK_BYTES))
        return cast("BinaryIO", io.BufferedReader(_Chunks(self._translated(key, chunks))))

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[ObjectEntry]]:
        """All objects below a folder in order of their keys, by the page."""
        with self._told(prefix):
            pages = obstore.list(self._store, f"{prefix}/", offset=after, chunk_size=PAGE)
            for page in pages:
                yield [_entry(each) for each in page]

    def _translated(self, key: str, chunks: "Iterator[Buffer]") -> "Iterator[Buffer]":
        with self._told(key):
            yield from chunks

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """What the library says of an object, in the product's words."""
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise self._in_our_words(key, error) from error

    def _in_our_words(self, key: str, error: Exception) -> FilmgateError:
        said = str(error).partition("\n\nDebug source")[0].replace("\n", " ")[:LONGEST_SAID]
        if "NoSuchBucket" in str(error):
            return NotFound(
                f"there is no bucket for {self.url}",
                expected="a bucket that exists",
                got=said,
                hint="Make it, or mend the address or FILMGATE_S3_ENDPOINT",
            )
        if isinstance(error, FileNotFoundError):
            return NotFound(f"no {key} in {self.url}", expected="an object", got="none")
        if isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError):
            return NotPermitted(
                f"{self.url} may not be used",
                got=said,
                hint="Check the credentials, and what they allow (FILMGATE_S3_AUTH)",
            )
        if isinstance(error, ValueError):
            return Invalid("this is no key of an object", expected="a/relative/path", got=repr(key))
        return Unavailable(
            f"{self.url} does not answer as it should",
            got=said,
            hint="Try again when it is back; nothing was half-written",
        )


class FolderObjects(BucketObjects):
    """Objects in a folder, durable once they are made."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.as_uri(), LocalStore(folder))
        self._folder = folder

    def create(self, key: str, data: bytes | Path) -> bool:
        """Make an object, or leave the one that is there."""
        target = inside(self._folder, key)
        make_folders(target.parent)
        is_made = super().create(key, data)
        if is_made:
            sync_file(target)
            sync_folder(target.parent)
        return is_made

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[ObjectEntry]]:
        """All objects below a folder in order of their keys, which a disk does not keep."""
        found = sorted(each for page in super().pages(prefix) for each in page)
        wanted = [each for each in found if after is None or each.key > after]
        for start in range(0, len(wanted), PAGE):
            yield wanted[start : start + PAGE]


class _Chunks(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: "Iterator[Buffer]") -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As much as there is of a chunk."""
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _entry(found: "ObjectMeta") -> ObjectEntry:
    tag = found["e_tag"] or found["last_modified"].isoformat()
    return ObjectEntry(key=found["path"], size_bytes=found["size"], mark=tag)


def address_of(place: str) -> str:
    """The one spelling of a store's address: `s3://bucket/prefix` or `file:///folder`.

    Raises Invalid for what is neither an address of these kinds nor a path.
    """
    kind, is_url, rest = place.partition("://")
    if not is_url:
        return Path(place).absolute().as_uri() if place else _refuse(place)
    if kind == "file":
        return Path(unquote(urlsplit(place).path)).absolute().as_uri()
    if kind != "s3":
        _refuse(place)
    parts = [part for part in rest.split("/") if part]
    is_plain = all(part not in {".", ".."} for part in parts)
    if not parts or not _BUCKET.fullmatch(parts[0]) or not is_plain:
        _refuse(place)
    return "s3://" + "/".join(parts)


_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


def _refuse(place: str) -> Any:
    raise Invalid(
        "this is no place for runs",
        expected="s3://bucket/prefix, or a folder",
        got=repr(place),
    )


def open_store(place: str, options: S3Options, *, make: bool = False) -> BucketObjects:
    """The store at an address or path; a folder is made where `make` says so, else NotFound.

    Whether a bucket is there is known only when it is asked for something.
    """
    url = address_of(place)
    if url.startswith("s3://"):
        return BucketObjects(url, _bucket(url, options))
    folder = Path(unquote(urlsplit(url).path))
    if make:
        make_folders(folder)
    if not folder.is_dir():
        raise NotFound(f"no folder {folder}", expected="a folder that runs were published to")
    return FolderObjects(folder)


def _bucket(url: str, options: S3Options) -> S3Store:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    config: dict[str, Any] = {"checksum_algorithm": "SHA256"}
    endpoint = options.endpoint or _endpoint_around()
    if options.auth == "anonymous":
        config["skip_signature"] = True
    profile = options.profile or os.environ.get("AWS_PROFILE")
    if options.auth == "profile" or (options.auth == "auto" and profile):
        config["credential_provider"], told = _of_profile(profile)
        endpoint = endpoint or told
    if options.region:
        config["region"] = options.region
    if endpoint:
        config["endpoint"] = endpoint if options.path_style else _hosted(endpoint, bucket)
    config["virtual_hosted_style_request"] = not options.path_style
    client: ClientConfig = {
        "allow_http": bool(endpoint and endpoint.startswith("http://")),
        "timeout": TIMEOUT,
        "connect_timeout": CONNECT_TIMEOUT,
    }
    retry: RetryConfig = {"max_retries": RETRIES, "retry_timeout": RETRY_TIMEOUT}
    return S3Store(bucket, prefix=prefix, client_options=client, retry_config=retry, **config)


def _endpoint_around() -> str | None:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return next((value for name in names if (value := os.environ.get(name))), None)


def _hosted(endpoint: str, bucket: str) -> str:
    """The address of a bucket that stands in the host name."""
    parts = urlsplit(endpoint)
    return parts._replace(netloc=f"{bucket}.{parts.netloc}").geturl()


def _of_profile(name: str | None) -> tuple[Any, str | None]:
    """Credentials of a profile in the shared configuration files, and its endpoint."""
    try:
        import botocore.session
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        raise Unavailable(
            "profiles are read by boto3, which is not installed",
            expected="boto3",
            got="none",
            hint="pip install 'filmgate[aws]', or give keys by AWS_ACCESS_KEY_ID",
        ) from error
    try:
        session = botocore.session.Session(profile=name)
        endpoint = session.get_scoped_config().get("endpoint_url")
        return Boto3CredentialProvider(session), endpoint
    except (BotoCoreError, ValueError) as error:
        raise NotPermitted(
            f"profile {name or 'default'!r} gives no credentials",
            got=str(error),
            hint="Mend ~/.aws/config, or name another by FILMGATE_S3_PROFILE",
        ) from error
