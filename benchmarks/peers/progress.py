"""What is being done, and how long the rest may take, on stderr."""

import sys
import time


class Progress:
    """A line a job; the rest is guessed from the pace so far."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._done = 0
        self._began = time.monotonic()

    def begins(self, what: str) -> None:
        """Say what begins."""
        if self._done:
            pace = (time.monotonic() - self._began) / self._done
            left = f"about {pace * (self._jobs - self._done) / 60:.0f} min left"
        else:
            left = "some minutes"
        self._done += 1
        say(f"[{self._done}/{self._jobs}, {left}] {what}")


def say(text: str) -> None:
    """One line on stderr, at once."""
    print(text, file=sys.stderr, flush=True)
