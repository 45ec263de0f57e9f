"""Addresses of object stores, and the connection options of buckets."""

import errno
import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn
from urllib.parse import unquote, urlsplit

from obstore.store import S3Store

from filmgate.core.errors import Invalid, NotPermitted, StoreNotFound, Unavailable
from filmgate.core.objects import ObjectStore
from filmgate.core.os_errors import os_errors_translated, permission_error
from filmgate.store.durable import make_folders
from filmgate.store.folder_objects import FolderObjects
from filmgate.store.objects import BucketObjects

if TYPE_CHECKING:
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import ClientConfig, RetryConfig, S3Config

RETRIES = 4
"""Maximum number of retries of a request."""

RETRY_TIMEOUT = timedelta(seconds=180)
"""Maximum time from the first try of a request to its last retry."""

READ_TIMEOUT = timedelta(seconds=60)
"""Maximum time between two parts of a response; the response as a whole may take longer."""

TIMEOUT = timedelta(days=1)
"""Maximum time of one request."""

CONNECT_TIMEOUT = timedelta(seconds=5)

Auth = Literal["auto", "environment", "profile", "anonymous"]


@dataclass(frozen=True, kw_only=True)
class S3Options:
    """Connection options of buckets; options that are None come from the `AWS_…` variables."""

    endpoint: str | None = None
    region: str | None = None
    path_style: bool = True
    """Whether the name of the bucket is in the path of a URL, instead of in the host name."""
    auth: Auth = "auto"
    """Source of the credentials. `environment`: keys in variables, web identity, container or
    instance role; `profile`: a profile of the shared configuration files; `anonymous`: none;
    `auto`: a profile if one is named, else the environment."""
    profile: str | None = None
    """Name of the profile; if None, that in `AWS_PROFILE`."""


def normalize_address(place: str) -> str:
    """Return the canonical form of a store's address: `s3://bucket/prefix` or `file:///folder`.

    `place`: an address of these kinds, or a path. Raises Invalid for anything else.
    """
    scheme, separator, rest = place.partition("://")
    if not separator:
        return Path(place).absolute().as_uri() if place else _raise_invalid(place)
    if scheme == "file":
        return Path(unquote(urlsplit(place).path)).absolute().as_uri()
    if scheme != "s3":
        _raise_invalid(place)
    parts = [part for part in rest.split("/") if part]
    is_plain = all(part not in {".", ".."} for part in parts)
    if not parts or not _BUCKET.fullmatch(parts[0]) or not is_plain:
        _raise_invalid(place)
    return "s3://" + "/".join(parts)


_BUCKET = re.compile(r"[a-z0-9][A-Za-z0-9._-]{1,61}[a-z0-9]")


def _raise_invalid(place: str) -> NoReturn:
    raise Invalid(
        "the address of the store is invalid",
        expected="s3://bucket/prefix (a bucket name has 3 to 63 lower-case letters, digits, dots "
        "and hyphens), or a folder",
        got=repr(place),
    )


def open_store(place: str, options: S3Options, *, make: bool = False) -> ObjectStore:
    """Open the store at an address or path.

    With `make`, a missing folder is created, and NotPermitted is raised for a folder that cannot be
    written; otherwise, StoreNotFound is raised for a missing folder. A missing bucket is noticed
    only at the first request. Raises Invalid if the address is invalid.
    """
    url = normalize_address(place)
    if url.startswith("s3://"):
        return BucketObjects(url, _bucket(url, options))
    folder = Path(unquote(urlsplit(url).path))
    with os_errors_translated():
        if make:
            make_folders(folder)
        is_folder = folder.is_dir()
    if make and not os.access(folder, os.W_OK | os.X_OK):
        raise permission_error(folder, got=os.strerror(errno.EACCES))
    if not is_folder:
        raise StoreNotFound(
            f"folder {folder} does not exist", expected="a folder that runs were published to"
        )
    return FolderObjects(folder)


def _bucket(url: str, options: S3Options) -> S3Store:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    credentials: Boto3CredentialProvider | None = None
    config: S3Config = {"checksum_algorithm": "SHA256"}
    endpoint = options.endpoint or _endpoint_from_environment()
    if options.auth == "anonymous":
        config["skip_signature"] = True
    profile = options.profile or os.environ.get("AWS_PROFILE")
    if options.auth == "profile" or (options.auth == "auto" and profile):
        credentials, profile_endpoint = _read_profile(profile)
        endpoint = endpoint or profile_endpoint
    if options.region:
        config["region"] = options.region
    if endpoint:
        config["endpoint"] = (
            endpoint if options.path_style else _virtual_hosted_url(endpoint, bucket)
        )
    config["virtual_hosted_style_request"] = not options.path_style
    client: ClientConfig = {
        "allow_http": bool(endpoint and endpoint.startswith("http://")),
        "timeout": TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "connect_timeout": CONNECT_TIMEOUT,
    }
    retry: RetryConfig = {"max_retries": RETRIES, "retry_timeout": RETRY_TIMEOUT}
    return S3Store(
        bucket,
        prefix=prefix,
        config=config,
        client_options=client,
        retry_config=retry,
        credential_provider=credentials,
    )


def _endpoint_from_environment() -> str | None:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return next((value for name in names if (value := os.environ.get(name))), None)


def _virtual_hosted_url(endpoint: str, bucket: str) -> str:
    """URL of a bucket whose name is in the host name."""
    parts = urlsplit(endpoint)
    return parts._replace(netloc=f"{bucket}.{parts.netloc}").geturl()


def _read_profile(name: str | None) -> tuple["Boto3CredentialProvider", str | None]:
    """Read the credentials and the endpoint of a profile in the shared configuration files."""
    try:
        import botocore.session
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        raise Unavailable(
            "boto3, which reads profiles, is not installed",
            expected="the packages of the extra 'aws'",
            got="no boto3",
            hint="pip install 'filmgate[aws]', or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ) from error
    try:
        session = botocore.session.Session(profile=name)
        endpoint = session.get_scoped_config().get("endpoint_url")
        return Boto3CredentialProvider(session), endpoint
    except (BotoCoreError, ValueError) as error:
        raise NotPermitted(
            f"credentials of profile {name or 'default'!r} cannot be read",
            got=str(error),
            hint="Correct ~/.aws/config, or name another profile in FILMGATE_S3_PROFILE",
        ) from error
