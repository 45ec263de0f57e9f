"""Test stages and pipelines without a disk or a database: the ports in memory."""

from filmgate.testing.object_store import MemoryObjectStore, MemoryStores

__all__ = ["MemoryObjectStore", "MemoryStores"]
