"""The crew: works on several stages at a time, or on one in the caller's own thread."""

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar, cast

Key = TypeVar("Key")
Result = TypeVar("Result")

GRACE_S = 10.0
"""How long stages at work have, once stopped, to reach a place where they can end."""


class Ended(NamedTuple, Generic[Key, Result]):
    """A piece of work that is over."""

    key: Key
    at: float
    """When, by the clock that only counts (`time.perf_counter`)."""
    result: Result | None = None
    error: Exception | None = None

    def value(self) -> Result:
        """What it came to; raises what it raised."""
        if self.error is not None:
            raise self.error
        return cast("Result", self.result)


class Crew(Generic[Key, Result]):
    """Up to `size` pieces of work at a time."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._own: deque[tuple[Key, Callable[[], Result]]] = deque()
        self._ended: SimpleQueue[Ended[Key, Result]] = SimpleQueue()
        self._at_work: dict[Key, threading.Thread | None] = {}
        self.stop = threading.Event()

    @property
    def at_work(self) -> frozenset[Key]:
        """What was given and has not come back."""
        return frozenset(self._at_work)

    @property
    def has_room(self) -> bool:
        """Whether one more can begin."""
        return len(self._at_work) < self._size

    def give(self, key: Key, work: Callable[[], Result]) -> None:
        """Begin a piece of work; where the crew is the caller alone, when it waits."""
        if self._size == 1:
            self._at_work[key] = None
            self._own.append((key, work))
            return
        thread = threading.Thread(target=self._run, args=(key, work), name=str(key), daemon=True)
        self._at_work[key] = thread
        thread.start()

    def wait(self) -> Ended[Key, Result]:
        """The next piece of work that is over. What a signal raises in the caller's own thread
        goes through."""
        ended = _run_here(*self._own.popleft()) if self._own else self._ended.get()
        del self._at_work[ended.key]
        return ended

    def dismiss(self) -> None:
        """Tell all at work to stop, and give them a while to."""
        self.stop.set()
        deadline = time.monotonic() + GRACE_S
        for thread in self._at_work.values():
            if thread is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, key: Key, work: Callable[[], Result]) -> None:
        try:
            ended = _run_here(key, work)
        except BaseException as error:  # noqa: BLE001 - it must not die with its thread
            told = RuntimeError(f"{type(error).__name__}: {error}")
            ended = Ended(key=key, at=time.perf_counter(), error=told)
        self._ended.put(ended)


def _run_here(key: Key, work: Callable[[], Result]) -> Ended[Key, Result]:
    try:
        result = work()
    except (SystemExit, GeneratorExit) as error:
        told = RuntimeError(f"it raised {type(error).__name__}: {error}")
        return Ended(key=key, at=time.perf_counter(), error=told)
    except Exception as error:  # noqa: BLE001 - whatever the work raises is its failure
        return Ended(key=key, at=time.perf_counter(), error=error)
    return Ended(key=key, at=time.perf_counter(), result=result)
