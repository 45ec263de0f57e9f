"""Addresses of stores, and how the buckets behind them are reached."""

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from obstore.store import S3Store

from filmgate.core.errors import Invalid, NotFound, NotPermitted, Unavailable
from filmgate.core.objects import NO_STORE, ObjectStore
from filmgate.store.durable import make_folders
from filmgate.store.folder_objects import FolderObjects
from filmgate.store.objects import BucketObjects

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

RETRIES = 4
RETRY_TIMEOUT = timedelta(seconds=180)
READ_TIMEOUT = timedelta(seconds=60)
"""Of silence; a long answer may take as long as it likes."""

TIMEOUT = timedelta(days=1)
CONNECT_TIMEOUT = timedelta(seconds=5)

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


_BUCKET = re.compile(r"[a-z0-9][A-Za-z0-9._-]{1,61}[a-z0-9]")


def _refuse(place: str) -> Any:
    raise Invalid(
        "this is no place for runs",
        expected="s3://bucket/prefix (a bucket has 3 to 63 small letters, digits, dots and "
        "hyphens), or a folder",
        got=repr(place),
    )


def open_store(place: str, options: S3Options, *, make: bool = False) -> ObjectStore:
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
        raise NotFound(
            f"no folder {folder}", expected="a folder that runs were published to", reason=NO_STORE
        )
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
        "read_timeout": READ_TIMEOUT,
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
