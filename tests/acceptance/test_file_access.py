"""Files of the home are private by default, independently of the umask."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from filmgate.db.embedded import SOCKET_NAME, EmbeddedPostgres
from filmgate.ingest import pass_a
from filmgate.tools.prometheus_file import PrometheusFile
from support.command import Filmgate
from support.films import film_of_shots
from support.served import LIGHT, served


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The umask of the test and of its processes: new files are open to all users."""
    earlier = os.umask(0)
    yield
    os.umask(earlier)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film_of_shots(tmp_path_factory.mktemp("film") / "film.mkv", [25, 25])


def entries_with(folder: Path, permissions: int) -> list[str]:
    """Return the files and folders, and `folder` itself, that give any of these permissions."""
    paths = [folder, *folder.rglob("*")]
    return [
        f"{path} {stat.S_IMODE(path.lstat().st_mode):04o}"
        for path in paths
        if not path.is_symlink() and path.lstat().st_mode & permissions
    ]


def test_no_file_of_a_home_is_open_to_other_users_after_a_run_an_upload_and_a_service(
    tmp_path: Path, film: Path
) -> None:
    """Includes the files and the socket of the embedded database while it runs."""
    home, published = tmp_path / "home", tmp_path / "published"
    filmgate = Filmgate(home)
    filmgate.json("run", "episode", film, "--workers", "2")
    filmgate.json("publish", "film", "--to", published)
    with served(home) as service:
        with service.client() as client:
            client.upload(film, "uploaded")
            client.wait(client.run("episode", asset_id="uploaded", settings=LIGHT), 60)
        url = EmbeddedPostgres(home / "pg").url
        sockets = Path(parse_qs(urlsplit(url).query)["host"][0])  # in /tmp if the path is too long
        assert (sockets / SOCKET_NAME).is_socket()
        assert entries_with(sockets, 0o077) == []
        assert entries_with(home, 0o077) == []
    assert entries_with(home, 0o077) == []
    assert entries_with(published, 0o077) == []


def test_the_setting_group_lets_the_group_read_and_no_others(tmp_path: Path, film: Path) -> None:
    home = tmp_path / "home"
    filmgate = Filmgate(home)
    filmgate.env["FILMGATE_FILE_ACCESS"] = "group"
    filmgate.json("run", "episode", film, "--no-ingest")
    assert entries_with(home, 0o027) == []
    (manifest,) = home.rglob("manifest.json")
    assert stat.S_IMODE(manifest.stat().st_mode) == 0o640
    assert stat.S_IMODE(home.stat().st_mode) == 0o750


def test_an_open_home_is_reported_once_with_the_command_that_closes_it(tmp_path: Path) -> None:
    home = tmp_path / "my home"
    home.mkdir(mode=0o755)
    (home / "opened on purpose").touch(0o644)
    filmgate = Filmgate(home)
    first, second = filmgate("status"), filmgate("status")
    assert "warning: the home is open to other users" in first.stderr
    assert "warning" not in second.stderr
    assert len(entries_with(home, 0o077)) == 2
    command = first.stderr.partition("run: ")[2].partition(" (FILMGATE")[0]
    subprocess.run(["/bin/sh", "-c", command], check=True)
    assert entries_with(home, 0o077) == []
    home.chmod(0o750)
    assert "has mode 0750" in filmgate("status").stderr


@pytest.mark.parametrize(
    ("access", "mode"), [("private", 0o700), ("group", 0o750), ("umask", 0o777)]
)
def test_a_home_that_the_setting_permits_is_not_reported(
    tmp_path: Path, access: str, mode: int
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=mode)
    filmgate = Filmgate(home)
    filmgate.env["FILMGATE_FILE_ACCESS"] = access
    assert "warning" not in filmgate("status").stderr
    assert not list(home.iterdir())


def test_an_entry_point_writes_private_files_and_restores_the_umask_of_its_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILMGATE_HOME", str(tmp_path / "home"))
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "rules.md").write_text("# Rules\n\nMove one piece per turn.\n")
    job = tmp_path / "jobs" / "job-1"
    job.parent.mkdir()
    pass_a.run(job, "dev", {"uploads": str(uploads)})
    assert entries_with(job, 0o077) == []
    assert (job / "manifest.json").exists()
    (tmp_path / "own file").touch(0o666)
    assert stat.S_IMODE((tmp_path / "own file").stat().st_mode) == 0o666


def test_the_metrics_file_can_be_read_by_the_exporter_of_prometheus(tmp_path: Path) -> None:
    os.umask(0o077)
    metrics = tmp_path / "filmgate.prom"
    event = {"event": "stage.measured", "pipeline": "p", "asset_id": "a", "stage": "s"}
    PrometheusFile(metrics)({**event, "at": "2026-01-01T00:00:00+00:00", "gauges": {}})
    assert stat.S_IMODE(metrics.stat().st_mode) == 0o644
