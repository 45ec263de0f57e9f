"""Object stores, opened with the options of the settings."""

from collections.abc import Callable
from functools import cache, partial

from filmgate.core.objects import ObjectStore, OpenStore
from filmgate.store.addresses import S3Options
from filmgate.store.addresses import open_store as open_object_store
from filmgate.wiring.settings import Settings


def open_store(settings: Settings, place: str, *, make: bool = False) -> ObjectStore:
    """Open the store at an address or path; with `make`, create its folder."""
    return create_opener(settings)(place, make=make)


def create_opener(settings: Settings) -> OpenStore:
    """Create an opener of stores with the options of the settings, for this process or another.

    It contains no credentials: the process that calls it looks them up. S3 libraries are loaded
    only when it is called.
    """
    options = S3Options(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        path_style=settings.s3_path_style,
        auth=settings.s3_auth,
        profile=settings.s3_profile,
    )
    return partial(open_object_store, options=options)


def create_cached_opener(settings: Settings) -> Callable[[str], ObjectStore]:
    """Return a function that opens the store at an address, once for each address."""
    return cache(partial(open_store, settings))
