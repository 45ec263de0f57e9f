"""The process pool executor: worker processes on this machine."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, reduction
from queue import SimpleQueue
from typing import Protocol

from filmgate.core.errors import Unavailable
from filmgate.core.ports import Item, Mapped, Value
from filmgate.core.records import StageError
from filmgate.engine.executors.item import (
    ITEMS_PER_WORKER,
    MAX_TRIES,
    check_picklable,
    make_dead_worker_outcome,
    make_pickling_error,
    run_item,
)

SPAWN = multiprocessing.get_context("spawn")
"""Start method with a fresh interpreter: a fork of a process with threads may inherit a lock that
is never released."""

KILL_TIMEOUT_S = 30.0
"""Seconds to wait for a killed worker; a read from a slow disk may delay its end."""


class ProcessPool:
    """Implementation of the port `Executor` with `workers` processes, started when first needed.

    Each process is a separate pool, so that it is known which item a dead worker had. The workers
    inherit `lock`, the file descriptor of the lease: a worker that outlives its runner keeps the
    run held. A worker ends by itself after its runner has ended.
    """

    def __init__(self, workers: int, lock: int | None = None) -> None:
        self._workers = workers
        self._lock = lock
        self._threads: ThreadPoolExecutor | None = None
        self._idle: SimpleQueue[_WorkerProcess | None] = SimpleQueue()
        self._processes: set[_WorkerProcess] = set()
        self._state_lock = threading.Lock()
        self._closed = threading.Event()

    def map(
        self, work: Callable[[Item], Value], items: Iterable[Item]
    ) -> Iterator[Mapped[Item, Value]]:
        """Yield the outcome of every item, in the order of the items."""
        check_picklable(work)
        threads = self._start()
        started: deque[Future[Mapped[Item, Value]]] = deque()
        try:
            for item in items:
                started.append(threads.submit(self._run_one, work, item))
                if len(started) >= self._workers * ITEMS_PER_WORKER:
                    yield started.popleft().result()
            while started:
                yield started.popleft().result()
        finally:
            for future in started:
                future.cancel()

    def close(self) -> None:
        """Kill the workers, even if they are busy, and wait until they have ended.

        They hold the lease's lock as long as they exist.
        """
        with self._state_lock:
            self._closed.set()
            processes = tuple(self._processes)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            self._close_process(process)
        if self._threads is not None:  # a thread may be starting a worker, and kills it then
            self._threads.shutdown(wait=True)

    def _start(self) -> ThreadPoolExecutor:
        with self._state_lock:
            if self._closed.is_set():
                raise Unavailable("the worker pool is closed")
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="worker")
                for _ in range(self._workers):
                    self._idle.put(None)
            return self._threads

    def _run_one(self, work: Callable[[Item], Value], item: Item) -> Mapped[Item, Value]:
        process = self._idle.get()
        try:
            for _ in range(MAX_TRIES):
                try:
                    process = process or self._open_process()
                    value, error = process.run(work, item)
                    return Mapped(item=item, value=value, error=error)
                except BrokenProcessPool:
                    self._close_process(process)
                    process = None
            return make_dead_worker_outcome(item, "it was killed, or ran out of memory")
        finally:
            self._idle.put(process)

    def _open_process(self) -> "_WorkerProcess":
        with self._state_lock:
            if self._closed.is_set():
                raise BrokenProcessPool("the pool is closed")
        process = _WorkerProcess(self._lock)
        with self._state_lock:
            self._processes.add(process)
            is_late = self._closed.is_set()
        if is_late:
            self._close_process(process)
        return process

    def _close_process(self, process: "_WorkerProcess | None") -> None:
        if process is not None:
            process.kill()
            self._processes.discard(process)


class _WorkerProcess:
    """One worker process."""

    def __init__(self, lock: int | None) -> None:
        inherited = None if lock is None else _InheritedDescriptor(lock)  # arrives as an int
        self._pool = ProcessPoolExecutor(
            1, mp_context=SPAWN, initializer=_prepare, initargs=(inherited,)
        )
        self._pid = self._pool.submit(os.getpid).result()

    def run(
        self, work: Callable[[Item], Value], item: Item
    ) -> tuple[Value | None, StageError | None]:
        """Work on one item in the process; raise BrokenProcessPool if the process dies."""
        try:
            outcome = self._pool.submit(run_item, work, item).result()
        except BrokenProcessPool:
            raise
        except Exception as error:  # noqa: BLE001 - a value that cannot be pickled
            return None, make_pickling_error(error)
        return outcome

    def kill(self) -> None:
        """Kill the process, and wait up to `KILL_TIMEOUT_S` for its end."""
        for child in multiprocessing.active_children():
            if child.pid == self._pid:  # still the worker, not another process with that number
                child.kill()
                child.join(KILL_TIMEOUT_S)
        self._pool.shutdown(wait=False, cancel_futures=True)


class _InheritedDescriptor:
    """A file descriptor; a spawned process that unpickles this object gets a copy of it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> "tuple[Callable[[_Duplicate], int], tuple[_Duplicate]]":
        return _detach, (reduction.DupFd(self._descriptor),)


class _Duplicate(Protocol):
    """A descriptor on its way to a new process."""

    def detach(self) -> int: ...


def _detach(duplicate: _Duplicate) -> int:
    return duplicate.detach()


def _prepare(_lock: object) -> None:
    """Prepare a worker process: ignore signals to stop, and end when the runner ends.

    Such a signal to the process group also stops the runner. A worker that it killed before would
    look like one that died while it worked on its item.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
