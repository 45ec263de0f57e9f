"""Faults at every system call with which a run changes the disk: the run always recovers."""

import mmap
import re
import shutil
import signal
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import pytest

from filmgate.core.states import RunState, StageState
from filmgate.engine.verification import verify
from filmgate.store.run_directory import COMMITS, LOGS, STATUS, VERDICTS, FolderRun
from support.runs import RecordingObserver, artifact_bytes, execute, reserve_run
from support.strace import Call, TracedChild, trace_child, why_unavailable

CALLS = (
    *("open", "openat", "creat", "mknod", "mknodat", "mkdir", "mkdirat"),
    *("write", "writev", "pwrite64", "pwritev", "sendfile", "copy_file_range", "fallocate"),
    *("truncate", "ftruncate", "fsync", "fdatasync", "link", "linkat", "symlink", "symlinkat"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir"),
    *("chmod", "fchmod", "fchmodat", "utimensat", "setxattr", "fsetxattr"),
)
"""Every call that can change the disk, or make a change durable."""

KILL = "signal=SIGKILL"
SHORT_WRITE = "retval=1"
"""The system reports that it wrote one byte, but wrote none."""

FAULTS = (KILL, "error=ENOSPC", "error=EIO", SHORT_WRITE)
WORKERS = 2
RUN_ID = "mine"


@dataclass(frozen=True)
class Site:
    """The folder of one case: its home and its trace."""

    folder: Path
    source: Path
    before: Path | None = None
    """A home that is copied before the invocation: that of a killed run."""

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def run(self) -> FolderRun:
        """The run of the case, reserved if it does not exist.

        It does not trust file times, so that timing does not change the sequence of calls.
        """
        folder = self.home / "manifests" / "film" / "runs" / RUN_ID
        if not folder.exists():
            reserve_run(self.home, self.source, run_id=RUN_ID)
        return FolderRun(folder, trust_times=False)

    def invoke(
        self, observer: "SharedMemoryObserver", calls: Iterable[str], *, inject: str | None = None
    ) -> tuple[TracedChild, str]:
        """Execute in a traced child; return its calls, and how it ended."""
        self.folder.mkdir()
        if self.before:
            shutil.copytree(self.before, self.home)
        log = self.folder.with_suffix(".strace")
        child = trace_child(lambda: work(self, observer), log, calls, inject=inject)
        return child, next(iter(observer.values("ended")), "killed")

    def call_paths(self, call: Call) -> str:
        """Paths of this folder in a call's arguments, without process ids."""
        paths = re.findall(rf"{re.escape(str(self.folder))}([^\">]*)", call.rest)
        return " ".join(dict.fromkeys(re.sub(r"\.\d+", ".PID", path) for path in paths))


@dataclass(frozen=True)
class Case:
    """One fault at one call."""

    call: Call
    paths: str
    fault: str

    @property
    def inject(self) -> str:
        """The fault as an argument of strace."""
        return f"{self.call.name}:{self.fault}:when={self.call.ordinal}"

    @property
    def is_harmless(self) -> bool:
        """Whether a run may succeed in spite of the fault.

        Only logs or the status are affected, or an existing folder could not be created again.
        """
        return "EEXIST" in self.call.rest or any(
            name in self.paths for name in (f"/{LOGS}", STATUS)
        )

    def __str__(self) -> str:
        return f"{self.fault} at {self.call.name} {self.call.ordinal} ({self.paths})"


@dataclass(frozen=True)
class Result:
    """How the invocation with the fault ended, and the error found then or later."""

    case: Case
    ended: str
    error: str = ""


class SharedMemoryObserver(RecordingObserver):
    """An observer whose records outlive its process, and that makes no system call."""

    def __init__(self) -> None:
        super().__init__()
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)

    def stage_started(self, stage: str) -> None:
        self.record("started", stage)

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        self.record(state, stage)

    def record(self, kind: str, value: str) -> None:
        self._shared.write(f"{kind} {value}\n".encode())

    def values(self, kind: str) -> set[str]:
        lines = self._shared[:].rstrip(b"\0").decode().splitlines()
        return {value for name, value in map(str.split, lines) if name == kind}


def work(site: Site, observer: SharedMemoryObserver) -> None:
    """Execute the run; called in the child."""
    try:
        manifest = execute(site.run, site.source, observer=observer)
    except Exception as error:
        observer.record("ended", type(error).__name__)
        raise
    observer.record("ended", manifest.status)


@dataclass(frozen=True)
class Reference:
    """A run without a fault: its artifact files, all files, and the cases to check."""

    artifacts: dict[str, bytes]
    files: list[str]
    cases: list[Case]


def make_reference(site: Site) -> Reference:
    child, ended = site.invoke(SharedMemoryObserver(), CALLS)
    assert ended == RunState.SUCCESS
    cases = [
        Case(call, site.call_paths(call), fault)
        for call, fault in product(child.calls, FAULTS)
        if call.changes_disk and site.call_paths(call)
        if fault != SHORT_WRITE or call.name == "write"
    ]
    return Reference(artifact_bytes(site.run), files_of(site.run), cases)


def files_of(run: FolderRun) -> list[str]:
    """Files in a run's folder, without those that a failed attempt adds."""
    paths = (path.relative_to(run.folder) for path in run.folder.rglob("*"))
    return sorted(str(path) for path in paths if not {COMMITS, VERDICTS} & set(path.parts))


def check_case(case: Case, site: Site, reference: Reference) -> Result:
    """Run with the fault; then run again without it."""
    observer = SharedMemoryObserver()
    child, ended = site.invoke(observer, [case.call.name], inject=case.inject)
    try:
        assert_fault_hit(case, site, child, ended)
        if ended == RunState.SUCCESS:
            assert artifact_bytes(site.run) == reference.artifacts, "success with wrong bytes"
        assert_recovers(site, observer, reference)
    except Exception as error:  # noqa: BLE001 - all cases are checked before any is reported
        return Result(case, ended, f"{type(error).__name__}: {error}")
    return Result(case, ended)


def assert_fault_hit(case: Case, site: Site, child: TracedChild, ended: str) -> None:
    """Assert that the fault was injected into the intended call, and that a kill was a kill."""
    hit = [site.call_paths(call) for call in child.calls if call.ordinal == case.call.ordinal]
    assert hit == [case.paths]
    assert (child.exit_code == -signal.SIGKILL) == (case.fault == KILL) == (ended == "killed")


def assert_recovers(site: Site, faulted: SharedMemoryObserver, reference: Reference) -> None:
    """Assert that the same command succeeds with the same files, and repeats at most one stage."""
    observer = RecordingObserver()
    assert execute(site.run, site.source, observer=observer).status is RunState.SUCCESS
    assert artifact_bytes(site.run) == reference.artifacts
    assert verify(site.run).status is RunState.SUCCESS
    assert files_of(site.run) == reference.files
    again = faulted.values("started") & set(observer.ran)
    assert not again & faulted.values(StageState.SUCCESS), "an acknowledged success ran again"
    assert len(again) <= 1


def sweep(folder: Path, source: Path, *, every: int, before: Path | None = None) -> list[Result]:
    """Check each nth case of a run; with `before`, of a run resumed from that home."""
    reference = make_reference(Site(folder / "reference", source, before))
    with ProcessPoolExecutor(WORKERS, get_context("fork")) as workers:
        futures = [
            workers.submit(
                check_case, case, Site(folder / f"case-{number}", source, before), reference
            )
            for number, case in enumerate(reference.cases[::every])
        ]
        return [future.result() for future in futures]


def make_killed_home(folder: Path, source: Path, path: str) -> Path:
    """Make the home of a run that was killed at its first call with a path."""
    folder.mkdir()
    cases = make_reference(Site(folder / "reference", source)).cases
    case = next(case for case in cases if case.fault == KILL and case.paths.endswith(path))
    site = Site(folder / "killed", source)
    _, ended = site.invoke(SharedMemoryObserver(), [case.call.name], inject=case.inject)
    assert ended == "killed"
    return site.home


def summarize(results: Iterable[Result]) -> str:
    """Number of cases by fault and by how they ended, as text."""
    counts = Counter((result.case.fault, result.ended) for result in results)
    rows = [f"{count} {fault} -> {ended}" for (fault, ended), count in sorted(counts.items())]
    return f"{counts.total()} cases: {'; '.join(rows)}"


@pytest.fixture
def strace(tmp_path: Path) -> None:
    if reason := why_unavailable(tmp_path):
        pytest.skip(reason)


def assert_all_recover(results: list[Result]) -> None:
    print(summarize(results))  # noqa: T201 - the size of the proof
    failed = [result for result in results if result.error]
    assert [f"{result.case}: {result.ended}; {result.error}" for result in failed] == []
    unaffected = [result.case for result in results if result.ended == RunState.SUCCESS]
    assert [str(case) for case in unaffected if not case.is_harmless] == []


@pytest.mark.usefixtures("strace")
def test_a_run_recovers_from_faults_at_some_calls_that_change_the_disk(
    in_memory: Path, source: Path
) -> None:
    assert_all_recover(sweep(in_memory, source, every=10))


@pytest.mark.proof
@pytest.mark.usefixtures("strace")
def test_a_run_recovers_from_every_fault_at_every_call_that_changes_the_disk(
    in_memory: Path, source: Path
) -> None:
    results = sweep(in_memory, source, every=1)
    assert {result.case.call.name for result in results} >= {"write", "fsync"}
    assert_all_recover(results)


@pytest.mark.proof
@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/part.a1.scenes.jsonl", marks=pytest.mark.nightly),
        f"/{RUN_ID}/scenes.jsonl",
    ],
)
def test_a_run_resumed_after_a_kill_recovers_from_every_further_fault(
    in_memory: Path, source: Path, path: str
) -> None:
    """One run was killed while it made a file, the other after the file's record was linked."""
    before = make_killed_home(in_memory / "before", source, path)
    assert_all_recover(sweep(in_memory, source, every=1, before=before))
