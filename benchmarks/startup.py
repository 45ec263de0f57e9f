"""How long the command line takes to start, beside a bare `import typer`.

Run: python benchmarks/startup.py [--rounds 20]

The three commands are run in turn, so that a machine that changes its speed changes all of them.
Printed are medians and the ratio to `python -c "import typer"`, which is the least that a command
line on Typer can take; the bounds are those of the project: 0.7 for `--version`, 1.4 for `--help`.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("filmgate"))
COMMANDS = {
    "import typer": [sys.executable, "-c", "import typer"],
    "filmgate --version": [PROGRAM, "--version"],
    "filmgate --help": [PROGRAM, "--help"],
}
BOUNDS = {"filmgate --version": 0.7, "filmgate --help": 1.4}


def measure(command: list[str]) -> float:
    """The wall time of one process, in seconds."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Run the commands in turn and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    for command in COMMANDS.values():
        measure(command)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            times[name].append(measure(command))
    base = times["import typer"]
    print(f"{'command':20} {'median':>9} {'ratio':>7} {'bound':>7}")
    for name, taken in times.items():
        ratio = statistics.median(one / other for one, other in zip(taken, base, strict=True))
        bound = f"{BOUNDS[name]:.1f}" if name in BOUNDS else ""
        print(f"{name:20} {statistics.median(taken) * 1000:6.1f} ms {ratio:7.2f} {bound:>7}")


if __name__ == "__main__":
    main()
