"""A pool of processes on this machine."""

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
from typing import Any

from filmgate.core.errors import Unavailable
from filmgate.core.ports import Item, Mapped, Value
from filmgate.core.records import StageError
from filmgate.engine.executors.item import (
    TRIES,
    attempt_item,
    cannot_travel,
    check_can_travel,
    worker_died,
)

SPAWN = multiprocessing.get_context("spawn")
"""A fresh interpreter: a fork of a process with threads may inherit a lock that nobody frees."""

END_S = 30.0
"""Seconds to wait for a killed worker, which the kernel may hold back in a read of a slow disk."""

AHEAD = 2
"""Items begun for every worker before the first of them is taken."""


class ProcessPool:
    """The port `Executor`, over `workers` processes that start when they are first needed.

    Each process is a pool of its own, so that a death says which item it was at. The workers
    inherit `lock`, the lease's descriptor: one that outlives its runner keeps the run held. A
    worker ends by itself once its runner is gone.
    """

    def __init__(self, workers: int, lock: int | None = None) -> None:
        self._workers = workers
        self._lock = lock
        self._threads: ThreadPoolExecutor | None = None
        self._idle: SimpleQueue[_Lane | None] = SimpleQueue()
        self._lanes: set[_Lane] = set()
        self._changing = threading.Lock()
        self._closed = threading.Event()

    def map(
        self, work: Callable[[Item], Value], items: Iterable[Item]
    ) -> Iterator[Mapped[Item, Value]]:
        """What came of every item, in their order."""
        check_can_travel(work)
        threads = self._start()
        begun: deque[Future[Mapped[Item, Value]]] = deque()
        try:
            for item in items:
                begun.append(threads.submit(self._run_one, work, item))
                if len(begun) >= self._workers * AHEAD:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()

    def close(self) -> None:
        """End the workers, whatever they are at, and wait until they no longer exist: they hold
        the lease's lock as long as they do."""
        with self._changing:
            self._closed.set()
            lanes = tuple(self._lanes)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        for lane in lanes:
            self._close_lane(lane)

    def _start(self) -> ThreadPoolExecutor:
        with self._changing:
            if self._closed.is_set():
                raise Unavailable("the pool of workers was closed")
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="lane")
                for _ in range(self._workers):
                    self._idle.put(None)
            return self._threads

    def _run_one(self, work: Callable[[Item], Value], item: Item) -> Mapped[Item, Value]:
        lane = self._idle.get()
        try:
            for _ in range(TRIES):
                try:
                    lane = lane or self._open_lane()
                    value, error = lane.run(work, item)
                    return Mapped(item=item, value=value, error=error)
                except BrokenProcessPool:
                    self._close_lane(lane)
                    lane = None
            return worker_died(item, "a signal, or not enough memory")
        finally:
            self._idle.put(lane)

    def _open_lane(self) -> "_Lane":
        with self._changing:
            if self._closed.is_set():
                raise BrokenProcessPool("the pool was closed")
        lane = _Lane(self._lock)
        with self._changing:
            self._lanes.add(lane)
            is_late = self._closed.is_set()
        if is_late:
            self._close_lane(lane)
        return lane

    def _close_lane(self, lane: "_Lane | None") -> None:
        if lane is not None:
            lane.kill()
            self._lanes.discard(lane)


class _Lane:
    """One worker process."""

    def __init__(self, lock: int | None) -> None:
        inherited: Any = None if lock is None else _Inherited(lock)  # arrives as an int
        self._pool = ProcessPoolExecutor(
            1, mp_context=SPAWN, initializer=_prepare, initargs=(inherited,)
        )
        self._pid = self._pool.submit(os.getpid).result()

    def run(
        self, work: Callable[[Item], Value], item: Item
    ) -> tuple[Value | None, StageError | None]:
        """Work on one item over there; BrokenProcessPool where the process dies."""
        try:
            done = self._pool.submit(attempt_item, work, item).result()
        except BrokenProcessPool:
            raise
        except Exception as error:  # noqa: BLE001 - a value that cannot be pickled
            return None, cannot_travel(error)
        return done

    def kill(self) -> None:
        """End the process at once, and wait for its end."""
        for child in multiprocessing.active_children():
            if child.pid == self._pid:  # still the worker, and no other process of that number
                child.kill()
                child.join(END_S)
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Inherited:
    """A descriptor that a spawned process gets a copy of."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[[Any], int], tuple[Any]]:
        return _take, (reduction.DupFd(self._descriptor),)


def _take(copied: Any) -> int:
    return int(copied.detach())


def _prepare(_lock: int | None) -> None:
    """Leave Ctrl-C to the runner, and end when the runner does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
