"""The entry point of the console script `filmgate`."""

import sys

from filmgate.version import __version__


def main() -> None:
    """Run the command that this process's arguments name, then exit with its exit code."""
    if sys.argv[1:] == ["--version"]:
        print(f"filmgate {__version__}")  # noqa: T201 - without loading Typer, which is slow
        return
    from filmgate.cli.invocation import call  # loads Typer

    sys.exit(call(sys.argv[1:], handles_signals=True))
