"""Entry points for programs that run each pass of the rulebook pipeline themselves."""

from filmgate.services.passes import PassBlocked, PassError, PassFailed

__all__ = ["PassBlocked", "PassError", "PassFailed"]
