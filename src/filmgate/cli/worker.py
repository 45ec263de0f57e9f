"""`filmgate worker`: takes jobs that were submitted over HTTP."""

import os
import signal
import threading
from typing import Annotated

import typer

Concurrency = Annotated[int, typer.Option(min=1, max=64, help="So many jobs at a time.")]


def worker(
    concurrency: Concurrency = 1,
    drain: Annotated[
        bool, typer.Option("--drain", help="Stop when no job is left, instead of waiting.")
    ] = False,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="End when standard input does.")
    ] = False,
) -> None:
    """Take jobs from the queue, each in a process of its own, until stopped.

    Any number of workers, on any number of machines that share the home and the database.
    """
    from filmgate.app import logs, settings  # keeps --help quick
    from filmgate.app.extras import need_service
    from filmgate.cli.output import talk

    need_service()
    from filmgate.app.worker import Worker

    logs.configure("INFO")
    logs.take_in_libraries()
    many = f"{concurrency} jobs at a time" if concurrency > 1 else "one job at a time"
    if with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    working = Worker(settings.load(), concurrency)
    working.run(lambda: talk().print(f"ready: {many}; Ctrl-C stops"), drain=drain)


def _end_with_parent() -> None:
    """Stop in order when whoever started this is gone."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
