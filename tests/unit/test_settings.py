"""A bad setting stops the start by name."""

from pathlib import Path

import pytest

from filmgate.app.settings import load
from filmgate.core.errors import Invalid


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "DATABASE_URL", "PRODUCER", "ENV"):
        monkeypatch.delenv(f"FILMGATE_{name}", raising=False)


def test_without_any_setting_the_defaults_hold() -> None:
    assert load().home == Path(".filmgate")


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("filmgate.toml").write_text('producer = "file"\nenv = "prod"\n')
    monkeypatch.setenv("FILMGATE_PRODUCER", "environment")
    settings = load()
    assert (settings.producer, settings.env) == ("environment", "prod")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('database_url = "mysql://x"', "database_url"),
        ('colour = "blue"', "colour"),
        ("this is no toml", "filmgate.toml cannot be read"),
    ],
)
def test_a_bad_setting_is_told_by_name(text: str, complaint: str) -> None:
    Path("filmgate.toml").write_text(text)
    with pytest.raises(Invalid, match=complaint):
        load()
