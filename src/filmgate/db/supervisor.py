"""The supervisor of an embedded server: `python -m filmgate.db.supervisor FOLDER DESCRIPTOR`."""

import sys
from pathlib import Path

from filmgate.db.embedded import EmbeddedPostgres

if __name__ == "__main__":
    EmbeddedPostgres(Path(sys.argv[1])).supervise(int(sys.argv[2]))
