"""Object stores, opened with the options of the settings."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from filmgate.core.objects import ObjectStore
from filmgate.store.addresses import Auth, S3Options
from filmgate.store.addresses import open_store as open_object_store
from filmgate.wiring.settings import Settings


def open_store(settings: Settings, place: str, *, make: bool = False) -> ObjectStore:
    """Open the store at an address or path; with `make`, create its folder."""
    return create_opener(settings)(place, make=make)


@dataclass(frozen=True, kw_only=True)
class Opener:
    """Implementation of the port `OpenStore`, in this process or another.

    An opener contains no credentials: the process that calls it looks them up. S3 libraries are
    loaded only when it is called.
    """

    endpoint: str | None
    region: str | None
    path_style: bool
    auth: Auth
    profile: str | None

    def __call__(self, place: str, *, make: bool = False) -> ObjectStore:
        """Open the store at an address or path; with `make`, create its folder."""
        options = S3Options(
            endpoint=self.endpoint,
            region=self.region,
            path_style=self.path_style,
            auth=self.auth,
            profile=self.profile,
        )
        return open_object_store(place, options, make=make)


def create_opener(settings: Settings) -> Opener:
    """Create an opener of stores with the options of the settings."""
    return Opener(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        path_style=settings.s3_path_style,
        auth=settings.s3_auth,
        profile=settings.s3_profile,
    )


def create_cached_opener(settings: Settings) -> Callable[[str], ObjectStore]:
    """Return a function that opens the store at an address, once for each address."""
    return cache(partial(open_store, settings))
