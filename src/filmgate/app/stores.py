"""The object stores that the settings reach."""

from functools import cache, partial
from typing import TYPE_CHECKING

from filmgate.app.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from filmgate.core.objects import ObjectStore, OpenStore


def open_store(settings: Settings, place: str, *, make: bool = False) -> "ObjectStore":
    """The store at an address or path; a folder is made where `make` says so."""
    return opener(settings)(place, make=make)


def opener(settings: Settings) -> "OpenStore":
    """Opens stores, here or in another process; holds no credentials, which it finds there."""
    from filmgate.store.addresses import S3Options  # heavy, and few commands need it
    from filmgate.store.addresses import open_store as open_at

    options = S3Options(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        path_style=settings.s3_path_style,
        auth=settings.s3_auth,
        profile=settings.s3_profile,
    )
    return partial(open_at, options=options)


def stores(settings: Settings) -> "Callable[[str], ObjectStore]":
    """Opens each store once."""
    return cache(partial(open_store, settings))
