"""Format the section of `docs/explanation/benchmarks.md` from the measurements."""

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from peers.bench import LONG, SHORT, Times
from peers.matrix import CASES, STEP, Outcome
from peers.page_text import INTRODUCTION, LIMITS, MATRIX, TIMES
from peers.report import Report


def page(reports: Sequence[Report], rounds: int, minutes: float, load: float) -> str:
    """Return the section. `minutes`: duration of all measurements; `load`: load average before."""
    facts = {"short": SHORT, "long": LONG, "step": STEP, "before": STEP - 1}
    parts = [
        INTRODUCTION.format(
            date=datetime.now(UTC).date(),
            python=platform.python_version(),
            cpus=os.cpu_count(),
            system=platform.system(),
            rounds=rounds,
            minutes=f"{minutes:.0f} minutes",
            load=f"{load:.1f} when it began, {os.getloadavg()[0]:.1f} when it ended",
        ),
        TIMES.format(**facts),
        _times(reports),
        MATRIX.format(**facts),
        "\n### Run again\n\n",
        _matrix(reports, from_step_k=False),
        f"\n### Run only from step {STEP} on\n\n",
        _matrix(reports, from_step_k=True),
        "\nThe command or option for that:\n\n",
        _run_from_notes(reports),
        _crashes(reports),
        "\n## How each tool did the work\n\n",
        "".join(
            f"- **{report.peer.name}** {report.version}: {report.peer.how}\n" for report in reports
        ),
        LIMITS,
    ]
    return "".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"


def _times(reports: Sequence[Report]) -> str:
    head = ["", "version", f"{SHORT} steps", "again", "worked again"]
    head += [f"{LONG} steps", "again", "a step more", "again"]
    timed = [report for report in reports if report.peer.is_timed]
    return "\n" + _table(head, (_time_row(report) for report in timed))


def _time_row(report: Report) -> list[str]:
    name, times = report.peer.name, report.times
    if report.failure:
        return [name, report.version, f"not measured: {report.failure}", *[""] * 6]
    return [
        name,
        report.version,
        *_pair(times, SHORT),
        f"{times.executed_again} of {SHORT}",
        *_pair(times, LONG),
        _milliseconds(times.per_step(times.first)),
        _milliseconds(times.per_step(times.again)),
    ]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds > 0 else "not seen"


def _pair(times: Times, steps: int) -> list[str]:
    return [f"{times.median(runs, steps):.2f}" for runs in (times.first, times.again)]


def _matrix(reports: Sequence[Report], *, from_step_k: bool) -> str:
    cases = [case for case in CASES if not (from_step_k and case == "kill")]
    rows = []
    for report in reports:
        cells = [_cell(report, case, from_step_k=from_step_k) for case in cases]
        rows.append([report.peer.name, *cells])
    return _table(["", *cases], rows)


def _cell(report: Report, case: str, *, from_step_k: bool) -> str:
    finding = report.findings.get((case, from_step_k))
    if finding is None:
        return f"not run: {report.failure}"
    if finding.outcome is Outcome.NOT_APPLICABLE:
        return "n/a" if from_step_k and not report.peer.run_from else f"n/a: {finding.note}"
    return str(finding)


def _run_from_notes(reports: Sequence[Report]) -> str:
    return "".join(f"- {report.peer.name}: {report.peer.run_from_note}\n" for report in reports)


def _crashes(reports: Sequence[Report]) -> str:
    lines = [
        f"- {report.peer.name}, by {report.peer.recover_note}: {report.findings['kill', True]}\n"
        for report in reports
        if report.peer.recover and ("kill", True) in report.findings
    ]
    return "\nAfter the kill, if the documentation names another command:\n\n" + "".join(lines)
