"""Progress and remaining time, on stderr."""

import sys
import time


class Progress:
    """Logs a line per job; the remaining time is estimated from the pace so far."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._done = 0
        self._started = time.monotonic()

    def start_job(self, title: str) -> None:
        """Log the start of a job."""
        if self._done:
            pace = (time.monotonic() - self._started) / self._done
            remaining = f"about {pace * (self._jobs - self._done) / 60:.0f} min left"
        else:
            remaining = "some minutes left"
        self._done += 1
        log(f"[{self._done}/{self._jobs}, {remaining}] {title}")


def log(text: str) -> None:
    """Write a line to stderr and flush it."""
    print(text, file=sys.stderr, flush=True)
