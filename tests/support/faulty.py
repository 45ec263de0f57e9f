"""A store between whom and its caller things go wrong."""

import threading
import time
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import BinaryIO, TypeVar

from filmgate.core.errors import Unavailable
from filmgate.core.objects import ObjectEntry, ObjectStore

Value = TypeVar("Value")


class Fault(Enum):
    """What happens to a call."""

    FAILS = "fails"
    """Nothing is done."""
    DROPS_REPLY = "drops reply"
    """It is done, and nobody hears of it."""
    DIES = "dies"
    """Nothing is done, and the caller is gone: no error that it could handle."""


class Gone(BaseException):
    """The process ended here."""


class FaultyStore:
    """The port `ObjectStore` over another; calls are counted from 1."""

    def __init__(
        self,
        store: ObjectStore,
        fault: Callable[[int], Fault | None] = lambda _: None,
        *,
        delay_s: float = 0.0,
    ) -> None:
        self._store = store
        self._fault = fault
        self._delay_s = delay_s
        self._lock = threading.Lock()
        self.calls: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return self._store.url

    def create(self, key: str, data: bytes | Path, sha256: str | None = None) -> bool:
        return self._called("create", key, lambda: self._store.create(key, data, sha256))

    def read(self, key: str, start: int, size: int) -> bytes:
        return self._called("read", key, lambda: self._store.read(key, start, size))

    def replace(self, key: str, data: bytes | Path) -> None:
        self._called("replace", key, lambda: self._store.replace(key, data))

    def remove(self, key: str) -> None:
        self._called("remove", key, lambda: self._store.remove(key))

    def path(self, key: str) -> Path | None:
        return self._store.path(key)

    def entry(self, key: str) -> ObjectEntry | None:
        return self._called("entry", key, lambda: self._store.entry(key))

    def open(self, key: str) -> BinaryIO:
        return self._called("open", key, lambda: self._store.open(key))

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[ObjectEntry]]:
        yield from self._called("pages", prefix, lambda: list(self._store.pages(prefix, after)))

    def _called(self, name: str, key: str, call: Callable[[], Value]) -> Value:
        with self._lock:
            self.calls.append((name, key))
            fault = self._fault(len(self.calls))
        time.sleep(self._delay_s)
        if fault is Fault.DIES:
            raise Gone
        if fault is Fault.FAILS:
            raise Unavailable("the store is away")
        value = call()
        if fault is Fault.DROPS_REPLY:
            raise Unavailable("no reply came")
        return value
