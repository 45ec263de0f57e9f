"""An object store whose calls can fail, for tests."""

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
    """What goes wrong with a call."""

    FAILS = "fails"
    """The call does nothing and raises an error."""
    DROPS_REPLY = "drops reply"
    """The call is done, but its reply is lost: it raises an error."""
    DIES = "dies"
    """The call does nothing, and the calling process dies: it cannot handle an error."""


class ProcessDied(BaseException):
    """The calling process died."""


class FaultyStore:
    """An object store over another one; `fault` chooses a call's fault by its number, from 1."""

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

    def check(self) -> None:
        self._call("check", "", self._store.check)

    def create(self, key: str, data: bytes | Path, sha256: str | None = None) -> bool:
        return self._call("create", key, lambda: self._store.create(key, data, sha256))

    def read(self, key: str, start: int, size: int) -> bytes:
        return self._call("read", key, lambda: self._store.read(key, start, size))

    def replace(self, key: str, data: bytes | Path) -> None:
        self._call("replace", key, lambda: self._store.replace(key, data))

    def remove(self, key: str) -> None:
        self._call("remove", key, lambda: self._store.remove(key))

    def path(self, key: str) -> Path | None:
        return self._store.path(key)

    def entry(self, key: str) -> ObjectEntry | None:
        return self._call("entry", key, lambda: self._store.entry(key))

    def open(self, key: str) -> BinaryIO:
        return self._call("open", key, lambda: self._store.open(key))

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[ObjectEntry]]:
        yield from self._call("pages", prefix, lambda: list(self._store.pages(prefix, after)))

    def _call(self, name: str, key: str, call: Callable[[], Value]) -> Value:
        with self._lock:
            self.calls.append((name, key))
            fault = self._fault(len(self.calls))
        time.sleep(self._delay_s)
        if fault is Fault.DIES:
            raise ProcessDied
        if fault is Fault.FAILS:
            raise Unavailable("the store is not available")
        value = call()
        if fault is Fault.DROPS_REPLY:
            raise Unavailable("the reply was lost")
        return value
