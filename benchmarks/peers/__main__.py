"""Measure all tools side by side in one go, and write the page that tells what came out.

On Linux only: processes and their files are found through /proc.

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

from peers.bench import LONG, SHORT, Site, green, time_once
from peers.install import install, version
from peers.matrix import CASES, examine
from peers.page import page
from peers.place import PEERS, ROOT, ToolFailedError
from peers.progress import Progress, say
from peers.report import Report
from peers.tools import ALL
from written import PAGE, write_section

ROUNDS = 3
QUICK_S, REPEATS = 2.0, 3
"""A tool that does six steps in less is timed so often in each round."""


def set_up(reports: Sequence[Report], site: Site) -> None:
    """Install every tool, and run each once so that none is measured cold."""
    progress = Progress(len(reports))
    for report in reports:
        peer = report.peer
        progress.begins(f"{peer.name}: install, try")
        try:
            install(peer)
            if peer.distribution:
                report.version = version(peer.distribution, peer.folder)
            with site.place(peer, SHORT) as place:
                seconds = green(peer, place)
            report.is_ready = True
            report.repeats = REPEATS if seconds < QUICK_S else 1
        except ToolFailedError as error:
            report.failed = str(error)
            say(f"  {error}")


def measure(reports: Sequence[Report], site: Site, rounds: int) -> None:
    """Round by round, every tool in turn."""
    timed = [report for report in reports if report.peer.is_timed]
    progress = Progress(rounds * 2 * len(timed))
    for number in range(rounds):
        for report in timed:
            for steps in (SHORT, LONG):
                progress.begins(f"round {number + 1}: {report.peer.name}, {steps} steps")
                if report.failed:
                    continue
                try:
                    for _ in range(report.repeats):
                        time_once(report.peer, site, report.times, steps)
                except ToolFailedError as error:
                    report.failed = str(error)
                    say(f"  {error}")


def tamper(reports: Sequence[Report], site: Site) -> None:
    """Every case of the matrix."""
    progress = Progress(len(reports) * len(CASES) * 2)
    for report in reports:
        for case in CASES:
            for only_from in (False, True):
                way = "from k" if only_from else "again"
                progress.begins(f"{report.peer.name}: {case}, {way}")
                if not report.is_ready:
                    continue
                found = examine(report.peer, site, case, only_from=only_from)
                report.findings[case, only_from] = found
                say(f"  {found} | {found.words}")


def main() -> None:
    """Install, measure, tamper, tell."""
    parser = argparse.ArgumentParser(prog="peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", default="", help="names of tools, with commas; prints the page")
    asked = parser.parse_args()
    if platform.system() != "Linux":
        parser.error("needs Linux: processes and their files are found through /proc")
    only = [name.strip().lower() for name in asked.only.split(",") if name.strip()]
    chosen = [peer for peer in ALL if not only or peer.name.lower() in only]
    (PEERS / "home").mkdir(parents=True, exist_ok=True)
    reports = [Report(peer) for peer in chosen]
    with tempfile.TemporaryDirectory(prefix="peers") as name:
        site = Site(Path(name).resolve())
        set_up(reports, site)
        began = time.monotonic()
        load = os.getloadavg()[0]
        measure(reports, site, asked.rounds)
        tamper(reports, site)
    text = page(reports, asked.rounds, (time.monotonic() - began) / 60, load)
    if only:
        sys.stdout.write(text)
    else:
        write_section("peers", text)
        say(f"written: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
