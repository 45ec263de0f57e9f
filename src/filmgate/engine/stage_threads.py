"""Stage threads: run the work of several stages in parallel, or of one in the caller's thread."""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")

STOP_TIMEOUT_S = 10.0
"""Maximum number of seconds to wait for the work in progress to end after it was stopped."""


class FinishedWork(NamedTuple, Generic[Key, Result]):
    """Work that has ended."""

    key: Key
    ended_s: float
    """Time when it ended, in seconds of `time.perf_counter`."""
    future: Future[Result]
    """Its result, or the exception that it raised."""


class StageThreads(Generic[Key, Result]):
    """Runs up to `size` pieces of work at a time. With a size of 1, it starts no thread."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._local: deque[tuple[Key, Callable[[], Result]]] = deque()
        self._finished: SimpleQueue[FinishedWork[Key, Result]] = SimpleQueue()
        self._running: dict[Key, threading.Thread | None] = {}
        self.stop_event = threading.Event()
        """Set when all work should end; the work must check it."""

    @property
    def running(self) -> frozenset[Key]:
        """Keys of the work that was submitted and not returned by `wait` yet."""
        return frozenset(self._running)

    @property
    def has_free_thread(self) -> bool:
        """Whether more work can start now."""
        return len(self._running) < self._size

    def submit(self, key: Key, work: Callable[[], Result]) -> None:
        """Start work in a thread; with a size of 1, in the caller's thread at the next `wait`."""
        if self._size == 1:
            self._running[key] = None
            self._local.append((key, work))
            return
        thread = threading.Thread(target=self._run, args=(key, work), name=str(key), daemon=True)
        self._running[key] = thread
        thread.start()

    def wait(self) -> FinishedWork[Key, Result]:
        """Wait for the next work to end, and return it.

        Exceptions that a signal handler raises in the caller's thread are not caught.
        """
        finished = _run_here(*self._local.popleft()) if self._local else self._finished.get()
        del self._running[finished.key]
        return finished

    def stop(self) -> None:
        """Set `stop_event`, and wait up to `STOP_TIMEOUT_S` for the work in progress to end."""
        self.stop_event.set()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for thread in self._running.values():
            if thread is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, key: Key, work: Callable[[], Result]) -> None:
        try:
            finished = _run_here(key, work)
        except BaseException as error:  # noqa: BLE001 - otherwise lost with the thread
            future: Future[Result] = Future()
            future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
            finished = FinishedWork(key=key, ended_s=time.perf_counter(), future=future)
        self._finished.put(finished)


def _run_here(key: Key, work: Callable[[], Result]) -> FinishedWork[Key, Result]:
    future: Future[Result] = Future()
    try:
        future.set_result(work())
    except (SystemExit, GeneratorExit) as error:
        future.set_exception(RuntimeError(f"the stage raised {type(error).__name__}: {error}"))
    except Exception as error:  # noqa: BLE001 - any exception of the work is its failure
        future.set_exception(error)
    return FinishedWork(key=key, ended_s=time.perf_counter(), future=future)
