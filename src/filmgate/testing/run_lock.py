"""A lock that ends with the last process that has its file descriptor."""

import os
import weakref


class RunLock:
    """A lock, held from its creation until every copy of `descriptor` is closed.

    The descriptor is the write end of a pipe, which stays empty. As long as any process has
    it, the read end does not reach its end of file.
    """

    def __init__(self) -> None:
        self._read_end, self.descriptor = os.pipe()
        os.set_blocking(self._read_end, False)
        self._close_read_end = weakref.finalize(self, os.close, self._read_end)
        self._close_descriptor = weakref.finalize(self, os.close, self.descriptor)

    @property
    def is_held(self) -> bool:
        """Whether this process, or one that inherited the descriptor, holds the lock."""
        if not self._close_read_end.alive:
            return False
        try:
            os.read(self._read_end, 1)
        except BlockingIOError:
            return True
        self._close_read_end()
        return False

    def release(self) -> None:
        """Close the descriptor in this process. Can be called twice."""
        self._close_descriptor()
