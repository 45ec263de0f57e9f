"""A real S3 server for `make test-s3`: Ceph's RGW, with one monitor and one store in memory.

As a script, it starts the server in a temporary folder, runs the command in its arguments with
the server's address and keys in the environment, and stops the server.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
BOOT_S = 120.0
"""Maximum number of seconds for a command, and for the server to start."""

KEY, SECRET = "filmgate-tests", "filmgate-tests-secret"
SETTINGS = {
    "auth_cluster_required": "none",
    "auth_service_required": "none",
    "auth_client_required": "none",
    "osd_pool_default_size": "1",
    "osd_pool_default_min_size": "1",
    "osd_pool_default_pg_num": "8",
    "osd_crush_chooseleaf_type": "0",
    "osd_objectstore": "memstore",
    "memstore_device_bytes": "4294967296",
    "mon_allow_pool_size_one": "true",
    "mon_max_pg_per_osd": "1000",
    "mon_data_avail_crit": "1",
    "mon_data_avail_warn": "2",
    "ms_bind_msgr2": "false",
    "rgw_enable_usage_log": "false",
}


def free_port() -> int:
    """Find a TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Cluster:
    """A minimal Ceph cluster in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fsid = str(uuid4())
        self._mon_port, self.port = free_port(), free_port()
        self._conf = folder / "ceph.conf"
        options = {
            "fsid": self._fsid,
            "mon_host": f"v1:127.0.0.1:{self._mon_port}",
            "mon_data": f"{folder}/mon",
            "osd_data": f"{folder}/osd",
            "run_dir": str(folder),
            "admin_socket": f"{folder}/$name.asok",
            "log_file": f"{folder}/$name.log",
            "mon_cluster_log_file": f"{folder}/cluster.log",
            "keyring": f"{folder}/keyring",
            **SETTINGS,
        }
        lines = "".join(f"{name} = {value}\n" for name, value in options.items())
        self._conf.write_text(f"[global]\n{lines}")
        (folder / "keyring").touch()

    @contextmanager
    def running(self) -> Iterator[str]:
        """Run the cluster; yield the address of the server."""
        with ExitStack() as stack:
            self._run(
                "monmaptool",
                "--create",
                "--clobber",
                "--addv",
                "a",
                f"[v1:127.0.0.1:{self._mon_port}]",
                "--fsid",
                self._fsid,
                str(self._folder / "monmap"),
            )
            (self._folder / "osd").mkdir()
            self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(self._folder / "monmap"))
            self._start(stack, "ceph-mon", "-i", "a")
            osd = str(uuid4())
            self._run("ceph", "osd", "new", osd)
            self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
            self._start(stack, "ceph-osd", "-i", "0")
            self._start(
                stack,
                "radosgw",
                "-n",
                "client.rgw",
                "--rgw-frontends",
                f"beast endpoint=127.0.0.1:{self.port}",
            )
            address = f"http://127.0.0.1:{self.port}"
            self._wait_for(address)
            self._run(
                "radosgw-admin",
                "user",
                "create",
                "--uid",
                "tests",
                "--display-name",
                "tests",
                "--access-key",
                KEY,
                "--secret-key",
                SECRET,
            )
            yield address

    def _run(self, program: str, *arguments: str) -> None:
        command = [program, "-c", str(self._conf), *arguments]
        if program == "monmaptool":
            command = [program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=BOOT_S, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")

    def _start(self, stack: ExitStack, program: str, *arguments: str) -> None:
        log = stack.enter_context((self._folder / f"{program}.out").open("wb"))
        process = stack.enter_context(
            subprocess.Popen(
                [program, "-c", str(self._conf), "-f", *arguments], stdout=log, stderr=log
            )
        )
        stack.callback(process.kill)

    def _wait_for(self, address: str) -> None:
        deadline = time.monotonic() + BOOT_S
        while True:
            try:
                with urllib.request.urlopen(address, timeout=2):
                    return
            except urllib.error.HTTPError:
                return
            except OSError:
                if time.monotonic() > deadline:
                    sys.exit(f"the server did not start; see {self._folder}")
                time.sleep(0.3)


def main() -> int:
    """Run the command in the arguments with a server; return its exit code."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        sys.exit(
            f"programs are missing: {', '.join(missing)}. On Debian: "
            "apt-get install radosgw ceph-mon ceph-osd ceph-common"
        )
    with (
        tempfile.TemporaryDirectory(prefix="ceph") as folder,
        Cluster(Path(folder)).running() as address,
    ):
        sys.stdout.write(f"Ceph RGW at {address}\n")
        sys.stdout.flush()
        variables = {
            "FILMGATE_TEST_S3_ENDPOINT": address,
            "FILMGATE_TEST_S3_KEY": KEY,
            "FILMGATE_TEST_S3_SECRET": SECRET,
        }
        return subprocess.run(sys.argv[1:], env=os.environ | variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
