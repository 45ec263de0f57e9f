"""The Ray executor: workers on this machine or on a cluster."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from types import ModuleType
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


class RayCluster:
    """Implementation of the port `Executor` on Ray.

    It uses the cluster at `RAY_ADDRESS`, or starts one on this machine if that is not set.
    `workers` is the number of items that are processed at a time. Ray starts an item again if
    its worker or its node dies.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._is_own_cluster = False
        self._is_closed = False
        self._connecting = Lock()

    def map(
        self, work: Callable[[Item], Value], items: Iterable[Item]
    ) -> Iterator[Mapped[Item, Value]]:
        """Yield the outcome of every item, in the order of the items."""
        check_picklable(work)
        ray = self._connect()
        umask = _read_umask()
        remote = ray.remote(_run_item_with_umask).options(max_retries=MAX_TRIES - 1)
        shared_work = ray.put(work)
        started: deque[tuple[Item, object]] = deque()
        try:
            for item in items:
                started.append((item, _submit(remote, umask, shared_work, item)))
                if len(started) >= self._workers * ITEMS_PER_WORKER:
                    yield _get_outcome(ray, *started.popleft())
            while started:
                yield _get_outcome(ray, *started.popleft())
        finally:
            for _, reference in started:
                if not isinstance(reference, StageError):
                    ray.cancel(reference, force=True)

    def close(self) -> None:
        """Shut the cluster down if it was started here; otherwise leave it running."""
        with self._connecting:
            self._is_closed = True
            if self._is_own_cluster:
                import ray  # already loaded by _connect

                ray.shutdown()
                self._is_own_cluster = False

    def _connect(self) -> ModuleType:
        try:
            import ray  # heavy, and rarely needed
        except ImportError as error:
            raise Unavailable(
                "ray is not installed",
                expected="the packages of the extra 'ray'",
                got="no ray",
                hint="pip install 'filmgate[ray]', or run with --executor local",
            ) from error
        has_address = "RAY_ADDRESS" in os.environ
        with self._connecting:
            if self._is_closed:
                raise Unavailable("the executor is closed")
            if not ray.is_initialized():
                ray.init(
                    num_cpus=None if has_address else self._workers,
                    include_dashboard=None if has_address else False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
                self._is_own_cluster = True
        return ray


class _RemoteFunction(Protocol):
    """A function that Ray calls in a worker; a call returns the reference of its result."""

    def remote(self, *arguments: object) -> object: ...


def _read_umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _run_item_with_umask(
    umask: int, work: Callable[[Item], Value], item: Item
) -> tuple[Value | None, StageError | None]:
    """Work on one item with the umask of the runner: the worker may have been started before, on
    another machine."""
    os.umask(umask)
    return run_item(work, item)


def _submit(function: _RemoteFunction, umask: int, work: object, item: object) -> object:
    """Start an item; return its reference, or its error if it cannot be pickled."""
    try:
        return function.remote(umask, work, item)
    except TypeError as error:
        return make_pickling_error(error)


def _get_outcome(ray: ModuleType, item: Item, reference: object) -> Mapped[Item, Value]:
    """Wait for the outcome of one item; if all its workers died, that is its error."""
    if isinstance(reference, StageError):
        return Mapped(item=item, error=reference)
    try:
        value, error = ray.get(reference)
    except ray.exceptions.RayTaskError as failed:
        return Mapped(item=item, error=make_pickling_error(failed))
    except ray.exceptions.RayError as died:
        return make_dead_worker_outcome(item, type(died).__name__)
    return Mapped(item=item, value=value, error=error)
