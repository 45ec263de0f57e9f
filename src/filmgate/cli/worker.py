"""`filmgate worker`: execute jobs that were submitted over HTTP."""

import os
import signal
import threading
from typing import Annotated

import typer

from filmgate.cli.output import stderr_console
from filmgate.cli.text import counted
from filmgate.wiring import logs, settings
from filmgate.wiring.extras import require_service


def worker(
    concurrency: Annotated[
        int, typer.Option(metavar="N", min=1, max=64, help="Number of jobs to execute at a time.")
    ] = 1,
    drain: Annotated[bool, typer.Option("--drain", help="Exit when the queue is empty.")] = False,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="Exit when standard input ends.")
    ] = False,
) -> None:
    """Execute queued jobs, each in a separate process, until stopped.

    Any number of machines can run workers, if they share the home and the database.
    """
    require_service()
    from filmgate.jobs.worker import Worker  # procrastinate comes with the extra `service`

    logs.configure("INFO")
    logs.capture_library_warnings()
    if with_parent:
        threading.Thread(target=_stop_with_parent, daemon=True).start()
    loaded = Worker(settings.load(), concurrency)
    message = f"Ready: {counted(concurrency, 'jobs')} at a time. Press Ctrl-C to stop."
    loaded.run(lambda: stderr_console().print(message), drain=drain)


def _stop_with_parent() -> None:
    """Shut down when standard input ends: the parent process, its writer, has ended."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
