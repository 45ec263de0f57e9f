"""The contract of executors, tested with every implementation."""

import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from filmgate.core.errors import ContractBroken
from filmgate.core.ports import Executor
from filmgate.engine.executors.in_process import InProcess
from filmgate.engine.executors.process_pool import ProcessPool
from filmgate.engine.executors.ray_cluster import RayCluster
from support.items import (
    create_file,
    double,
    kill_worker_always,
    kill_worker_once,
    make_unpicklable_value,
    slow_first,
    stop_own_worker,
)

FORK = get_context("fork")
TESTS = str(Path(__file__).parents[1])

EXECUTORS: dict[str, Callable[[], Executor]] = {
    "in_process": InProcess,
    "process_pool": partial(ProcessPool, 2),
    "ray": partial(RayCluster, 2),
}
ON_RAY = pytest.param("ray", marks=pytest.mark.proof)
"""Starting a cluster takes long."""

ALL = ["in_process", "process_pool", ON_RAY]
OTHER_PROCESS = ["process_pool", ON_RAY]


@pytest.fixture(scope="module", autouse=True)
def _importable_in_workers() -> Iterator[None]:
    """Let workers import the modules of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([TESTS, *sys.path]))
        yield


@pytest.fixture(scope="module")
def shared() -> Iterator[Callable[[str], Executor]]:
    """One executor of every kind, for all tests that do not damage it."""
    executors: dict[str, Executor] = {}

    def get(name: str) -> Executor:
        return executors.setdefault(name, EXECUTORS[name]())

    yield get
    for executor in executors.values():
        executor.close()
        executor.close()


@pytest.mark.parametrize("name", ALL)
def test_outcomes_are_in_the_order_of_the_items(
    shared: Callable[[str], Executor], name: str
) -> None:
    assert [outcome.value for outcome in shared(name).map(slow_first, range(6))] == list(range(6))


@pytest.mark.parametrize("name", ALL)
def test_a_failed_item_has_an_error_and_the_other_items_have_values(
    shared: Callable[[str], Executor], name: str
) -> None:
    mapped = list(shared(name).map(double, range(1, 15)))
    assert [outcome.item for outcome in mapped if not outcome.is_good] == [7, 14]
    assert mapped[6].error is not None
    assert mapped[6].error.message == "ValueError: 7 is a multiple of seven"
    assert [outcome.value for outcome in mapped if outcome.is_good][-1] == 26


@pytest.mark.parametrize("name", ALL)
def test_no_items_have_no_outcomes(shared: Callable[[str], Executor], name: str) -> None:
    assert list(shared(name).map(double, [])) == []


@pytest.mark.parametrize("name", ALL)
def test_items_are_read_only_a_few_ahead_of_the_outcomes(
    shared: Callable[[str], Executor], name: str
) -> None:
    read = []

    def endless() -> Iterator[int]:
        for item in itertools.count(1):
            read.append(item)
            yield item

    taken = list(itertools.islice(shared(name).map(double, endless()), 3))
    assert [outcome.value for outcome in taken] == [2, 4, 6]
    assert len(read) <= 10


@pytest.mark.parametrize("name", OTHER_PROCESS)
def test_an_item_whose_worker_died_is_tried_again(
    shared: Callable[[str], Executor], name: str, tmp_path: Path
) -> None:
    items = [(str(tmp_path), number) for number in range(6)]
    assert [outcome.value for outcome in shared(name).map(kill_worker_once, items)] == list(
        range(6)
    )


@pytest.mark.parametrize("name", OTHER_PROCESS)
def test_an_item_that_kills_every_worker_has_an_error(
    shared: Callable[[str], Executor], name: str
) -> None:
    mapped = list(shared(name).map(kill_worker_always, range(5)))
    assert [outcome.value for outcome in mapped] == [0, 1, None, 3, 4]
    assert mapped[2].error is not None
    assert mapped[2].error.code == "worker_died"


def test_a_pool_that_is_closed_while_a_worker_starts_leaves_no_process() -> None:
    others = set(multiprocessing.active_children())
    pool = ProcessPool(1)

    def consume() -> None:
        with suppress(CancelledError, RuntimeError):  # the pool is closed under it
            list(pool.map(double, [1, 2, 3]))

    consumer = threading.Thread(target=consume)
    consumer.start()
    while not set(multiprocessing.active_children()) - others:
        assert consumer.is_alive()
    pool.close()
    assert set(multiprocessing.active_children()) <= others
    consumer.join(30)
    assert not consumer.is_alive()


def test_in_process_a_worker_that_dies_ends_the_runner(tmp_path: Path) -> None:
    items = [(str(tmp_path), number) for number in range(6)]
    child = FORK.Process(target=lambda: list(InProcess().map(kill_worker_once, items)))
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    assert [outcome.value for outcome in InProcess().map(kill_worker_once, items)] == list(range(6))


@pytest.mark.parametrize("name", OTHER_PROCESS)
def test_an_item_whose_value_cannot_be_pickled_has_an_error(
    shared: Callable[[str], Executor], name: str
) -> None:
    mapped = list(shared(name).map(make_unpicklable_value, range(3)))
    assert [outcome.is_good for outcome in mapped] == [True, False, True]
    assert mapped[1].error is not None
    assert "cannot be pickled" in mapped[1].error.message


def test_work_that_cannot_be_pickled_is_refused_before_any_item() -> None:
    with pytest.raises(ContractBroken, match="module-level function"):
        next(ProcessPool(1).map(lambda item: item, [1]))


@pytest.mark.parametrize("name", OTHER_PROCESS)
def test_files_of_workers_have_the_permissions_of_the_umask_of_the_runner(
    shared: Callable[[str], Executor], name: str, tmp_path: Path
) -> None:
    """With Ray also if the worker was started before, with another umask."""
    if name == "process_pool":
        executor = EXECUTORS[name]()
    else:
        executor = shared(name)
        list(executor.map(double, [1]))
    earlier = os.umask(0o077)
    try:
        (outcome,) = executor.map(create_file, [str(tmp_path / "file")])
    finally:
        os.umask(earlier)
        if name == "process_pool":
            executor.close()
    assert outcome.value == 0o600


def test_a_signal_to_stop_the_process_group_does_not_look_like_a_dead_worker(
    shared: Callable[[str], Executor],
) -> None:
    outcomes = list(shared("process_pool").map(stop_own_worker, range(4)))
    assert [outcome.value for outcome in outcomes] == list(range(4))
