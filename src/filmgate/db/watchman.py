"""The watchman of an embedded server: `python -m filmgate.db.watchman FOLDER DESCRIPTOR`."""

import sys
from pathlib import Path

from filmgate.db.embedded import EmbeddedPostgres

if __name__ == "__main__":
    EmbeddedPostgres(Path(sys.argv[1])).watch(int(sys.argv[2]))
