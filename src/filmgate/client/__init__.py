"""Typed client of the HTTP service."""

from filmgate.client.client import Client
from filmgate.client.events import ServerEvent

__all__ = ["Client", "ServerEvent"]
