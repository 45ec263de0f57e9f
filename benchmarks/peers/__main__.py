"""Measure all tools in alternation, and write the section of the page.

It requires Linux, because it finds processes and their files in /proc.

Run: make bench-peers
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from page_sections import PAGE, write_section
from peers.bench import LONG, SHORT, WorkspaceFactory, first_run, time_once
from peers.install import install, version
from peers.matrix import CASES, run_case
from peers.page import page
from peers.progress import Progress, log
from peers.report import Report
from peers.tools import ALL
from peers.workspace import PEERS, ROOT, ToolFailedError

ROUNDS = 3
QUICK_S, REPEATS = 2.0, 3
"""A tool that runs six steps in less than `QUICK_S` seconds is measured `REPEATS` times per round.
"""


def set_up(reports: Sequence[Report], factory: WorkspaceFactory) -> None:
    """Install every tool, and run each once, so that no measurement includes a first start."""
    progress = Progress(len(reports))
    for report in reports:
        peer = report.peer
        progress.start_job(f"{peer.name}: install, try")
        try:
            install(peer)
            if peer.distribution:
                report.version = version(peer.distribution, peer.folder)
            with factory.create(peer, SHORT) as workspace:
                seconds = first_run(peer, workspace)
            report.is_ready = True
            report.repeats = REPEATS if seconds < QUICK_S else 1
        except ToolFailedError as error:
            report.failure = str(error)
            log(f"  {error}")


def measure(reports: Sequence[Report], factory: WorkspaceFactory, rounds: int) -> None:
    """Measure every tool with both chain lengths in each round."""
    timed = [report for report in reports if report.peer.is_timed]
    progress = Progress(rounds * 2 * len(timed))
    for number in range(rounds):
        for report in timed:
            for steps in (SHORT, LONG):
                progress.start_job(f"round {number + 1}: {report.peer.name}, {steps} steps")
                if report.failure:
                    continue
                try:
                    for _ in range(report.repeats):
                        time_once(report.peer, factory, report.times, steps)
                except ToolFailedError as error:
                    report.failure = str(error)
                    log(f"  {error}")


def tamper(reports: Sequence[Report], factory: WorkspaceFactory) -> None:
    """Run every case of the damage matrix."""
    progress = Progress(len(reports) * len(CASES) * 2)
    for report in reports:
        for case in CASES:
            for from_step_k in (False, True):
                mode = "from step k" if from_step_k else "again"
                progress.start_job(f"{report.peer.name}: {case}, {mode}")
                if not report.is_ready:
                    continue
                finding = run_case(report.peer, factory, case, from_step_k=from_step_k)
                report.findings[case, from_step_k] = finding
                log(f"  {finding} | {finding.note}")


def main() -> None:
    """Install, measure and damage; then write the section, or print it if tools were selected."""
    parser = argparse.ArgumentParser(prog="peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of measurements")
    parser.add_argument("--only", default="", help="tools, separated by commas; print the section")
    options = parser.parse_args()
    if platform.system() != "Linux":
        parser.error("Linux is required, to find processes and their files in /proc")
    only = [name.strip().lower() for name in options.only.split(",") if name.strip()]
    selected = [peer for peer in ALL if not only or peer.name.lower() in only]
    (PEERS / "home").mkdir(parents=True, exist_ok=True)
    reports = [Report(peer) for peer in selected]
    with tempfile.TemporaryDirectory(prefix="peers") as name:
        factory = WorkspaceFactory(Path(name).resolve())
        set_up(reports, factory)
        started = time.monotonic()
        load = os.getloadavg()[0]
        measure(reports, factory, options.rounds)
        tamper(reports, factory)
    text = page(reports, options.rounds, (time.monotonic() - started) / 60, load)
    if only:
        sys.stdout.write(text)
    else:
        write_section("peers", text)
        log(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
