"""The object stores that the settings reach."""

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from filmgate.app.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from filmgate.core.objects import ObjectStore
    from filmgate.store.addresses import Auth


def open_store(settings: Settings, place: str, *, make: bool = False) -> "ObjectStore":
    """The store at an address or path; a folder is made where `make` says so."""
    return opener(settings)(place, make=make)


@dataclass(frozen=True, kw_only=True)
class Opener:
    """The port `OpenStore`: opens stores here or in another process. Holds no credentials, which
    are found there; nothing heavy is loaded before it is called."""

    endpoint: str | None
    region: str | None
    path_style: bool
    auth: "Auth"
    profile: str | None

    def __call__(self, place: str, *, make: bool = False) -> "ObjectStore":
        """The store at an address or path; a folder is made where `make` says so."""
        from filmgate.store.addresses import S3Options, open_store  # heavy, and few need it

        options = S3Options(
            endpoint=self.endpoint,
            region=self.region,
            path_style=self.path_style,
            auth=self.auth,
            profile=self.profile,
        )
        return open_store(place, options, make=make)


def opener(settings: Settings) -> Opener:
    """Opens stores as the settings say."""
    return Opener(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        path_style=settings.s3_path_style,
        auth=settings.s3_auth,
        profile=settings.s3_profile,
    )


def stores(settings: Settings) -> "Callable[[str], ObjectStore]":
    """Opens each store once."""
    return cache(partial(open_store, settings))
