"""Paths and names that users give: what is refused, and that nothing outside is read or written."""

import shutil
from pathlib import Path

import pytest

from filmgate.core.errors import ExitCode
from filmgate.ingest import PassBlocked, PassError, PassFailed, pass_a, pass_c
from support import books
from support.command import Filmgate


@pytest.fixture
def filmgate(tmp_path: Path) -> Filmgate:
    return Filmgate(tmp_path / "home")


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "rules.md").write_text(books.RULES)
    return folder


@pytest.mark.parametrize("prefix", ["../../", "..", "a/../../", "{outside}/"])
def test_a_prefix_lists_no_file_outside_the_bucket(filmgate: Filmgate, prefix: str) -> None:
    outside = filmgate.cwd / "foreign"
    outside.mkdir()
    (outside / "secret.pt").write_bytes(b"secret")
    (filmgate.cwd / "one" / "pt").mkdir(parents=True)
    bucket = ("--manifest-bucket", filmgate.cwd / "one" / "pt")
    only = ("run", "gameplay", "--stage", "manifest", "--no-ingest", *bucket)
    prefix = prefix.format(outside=outside)
    error = filmgate.json(*only, "--prefix", prefix, code=4)
    assert "the prefix is outside the store" in error["message"]
    (filmgate.cwd / "tasks.txt").write_text("a.tar")
    listed = (*only, "--task-list", "tasks.txt")
    error = filmgate.json(*listed, "--set", f"manifest.prefix={prefix}", code=4)
    assert "the prefix is outside the store" in error["message"]
    assert not filmgate.home.exists()


def test_a_job_folder_below_a_link_is_refused_with_its_real_path(
    filmgate: Filmgate, uploads: Path
) -> None:
    (filmgate.cwd / "disk").mkdir()
    (filmgate.cwd / "link").symlink_to(filmgate.cwd / "disk")
    run = ("run", "rulebook", "--uploads", uploads, "--passes", "A", "--no-ingest")
    for job in ("link/one", "link/below/one"):
        error = filmgate.json(*run, "--job-dir", job, code=4)
        assert error["message"].startswith(f"{filmgate.cwd}/link is a link")
        assert f"{filmgate.cwd}/disk" in error["details"]["hint"]
    assert not list((filmgate.cwd / "disk").iterdir())
    filmgate.json(*run, "--job-dir", "disk/one")
    (filmgate.cwd / "two").symlink_to(filmgate.cwd / "disk" / "one")
    for job in ("link/one", "two"):
        assert filmgate("run", "rulebook", "--job-dir", job, "--no-ingest").returncode == 4
    assert filmgate("run", "rulebook", "--job-dir", "disk/one", "--no-ingest").returncode == 0


def test_a_link_below_the_home_is_refused_and_a_linked_home_is_allowed(
    filmgate: Filmgate, uploads: Path
) -> None:
    (filmgate.cwd / "disk").mkdir()
    filmgate.home.symlink_to(filmgate.cwd / "disk")
    run = ("run", "rulebook", "--uploads", uploads, "--passes", "A", "--no-ingest")
    filmgate.json(*run, "--run-id", "one")
    inside = filmgate.home / "artifacts" / "ingest" / "dev" / "two"
    filmgate.json(*run, "--job-dir", inside)
    foreign = filmgate.cwd / "foreign"
    shutil.move(filmgate.home / "artifacts" / "ingest" / "dev", foreign)
    (filmgate.home / "artifacts" / "ingest" / "dev").symlink_to(foreign)
    before = sorted(foreign.rglob("*"))
    for named in ("one", "three"):
        error = filmgate.json(*run, "--run-id", named, code=4)
        assert "/artifacts/ingest/dev is a link" in error["message"]
    assert "is a link" in filmgate.json(*run, "--new", code=4)["message"]
    assert sorted(foreign.rglob("*")) == before


@pytest.mark.parametrize("passes", ["", ",", " , "])
@pytest.mark.parametrize("option", ["--passes", "--stages"])
def test_an_empty_list_of_passes_is_a_usage_error_that_names_them(
    filmgate: Filmgate, uploads: Path, option: str, passes: str
) -> None:
    error = filmgate.json("run", "rulebook", "--uploads", uploads, option, passes, code=2)
    assert error["error"] == "usage"
    assert error["details"]["expected"].startswith("one or more of A, B, C, D, E, F")
    assert not filmgate.home.exists()


@pytest.fixture
def home(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FILMGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FILMGATE_DATABASE_URL", database_url)
    return tmp_path / "home"


def test_a_pass_that_fails_raises_the_error_of_its_stage(home: Path, uploads: Path) -> None:
    (uploads / "rules.md").write_bytes(b"")
    with pytest.raises(PassFailed) as failed:
        pass_a.run(home.parent / "job", "dev", {"uploads": str(uploads)})
    error = failed.value
    assert error.manifest.stages["A"].error == error.stage_error
    assert error.stage_error.message in str(error)
    assert str(error).startswith("pass A failed: ")
    assert (error.code, error.exit_code) == ("pass_failed", ExitCode.STAGE_FAILED)
    with pytest.raises(PassBlocked, match="upstream_failed"):
        pass_c.run(home.parent / "job", "dev", error.manifest)


def test_a_pass_whose_gate_is_closed_raises_the_reasons(home: Path, uploads: Path) -> None:
    manifest = pass_a.run(home.parent / "job", "dev", {"uploads": str(uploads)})
    toc = home.parent / "job" / "passA_toc.json"
    original = toc.read_bytes()
    toc.write_bytes(b"[]")
    with pytest.raises(PassError) as raised:
        pass_c.run(home.parent / "job", "dev", manifest)
    blocked = raised.value
    assert isinstance(blocked, PassBlocked)
    assert {reason.path for reason in blocked.reasons} == {"passA_toc.json"}
    assert "digest_mismatch: passA_toc.json: expected " in str(blocked)
    assert (blocked.code, blocked.exit_code) == ("pass_blocked", ExitCode.BLOCKED)
    toc.write_bytes(original)
    assert pass_c.run(home.parent / "job", "dev", blocked.manifest).stages["C"].error is None
