"""Stage 6, `sync_screenalytics`: what a product reads of a run, from its manifest and summaries."""

from dataclasses import dataclass

import psycopg

from filmgate.core.answers import Receipt
from filmgate.core.screentime import ScreenTime
from filmgate.db.product import STAGE, take_in_summary
from filmgate.sync.published_run import Read
from filmgate.sync.reading import read_screentime


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What becomes rows."""

    read: Read
    screentime: ScreenTime | None


class SyncScreenalytics:
    """The stage."""

    name = STAGE
    is_small = True

    def fetch(self, read: Read) -> Summary:
        """Every file is looked for, and the summaries are read; Invalid where one is not what
        the manifest says."""
        read.run.check_presence(read.manifest)
        return Summary(read=read, screentime=read_screentime(read.run, read.manifest))

    def prepare(self, connection: psycopg.Connection, fetched: Summary) -> None:
        """Nothing: its tables are there."""

    def take(self, connection: psycopg.Connection, fetched: Summary) -> Receipt:
        """Into the tables that a product reads."""
        read = fetched.read
        return take_in_summary(
            connection, read.manifest, read.sha256, read.run.origin, fetched.screentime
        )
