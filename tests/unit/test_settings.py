"""Settings: defaults, priority of the environment, and errors that name the invalid setting."""

from datetime import timedelta
from pathlib import Path

import pytest

from filmgate.core.errors import Invalid
from filmgate.wiring.settings import load


@pytest.fixture(autouse=True)
def empty_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "DATABASE_URL", "SCHEMA", "PRODUCER", "ENV"):
        monkeypatch.delenv(f"FILMGATE_{name}", raising=False)


def test_defaults_are_used_without_settings() -> None:
    assert load().home == Path(".filmgate")


def test_a_period_is_a_number_with_a_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILMGATE_SESSION_IDLE", "30m")
    Path("filmgate.toml").write_text('session_lifetime = "2w"\n')
    settings = load()
    assert settings.session_idle == timedelta(minutes=30)
    assert settings.session_lifetime == timedelta(weeks=2)


def test_the_environment_has_priority_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("filmgate.toml").write_text('producer = "file"\nenv = "prod"\n')
    monkeypatch.setenv("FILMGATE_PRODUCER", "environment")
    settings = load()
    assert (settings.producer, settings.env) == ("environment", "prod")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('database_url = "mysql://x"', "database_url"),
        ('colour = "blue"', "colour"),
        ('schema = "Filmgate"', "schema"),
        ('schema = "a-b"', "schema"),
        ('schema = "public"', "schema public is reserved"),
        ('schema = "pg_filmgate"', "schema pg_filmgate is reserved"),
        (f'schema = "{"a" * 64}"', "schema"),
        ('session_idle = "soon"', "session_idle: .*the period is invalid; expected 30m"),
        ('session_idle = "1m"', "session_idle"),
        ("session_lifetime = 3600", "session_lifetime: .*the period is invalid"),
        ("this is not TOML", "filmgate.toml cannot be read"),
    ],
)
def test_the_error_names_an_invalid_setting(text: str, message: str) -> None:
    Path("filmgate.toml").write_text(text)
    with pytest.raises(Invalid, match=message):
        load()


def test_the_schema_is_read_from_its_own_variable_and_from_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A variable SCHEMA of another program is not read."""
    monkeypatch.setenv("SCHEMA", "wrong")
    assert load().database_schema == "filmgate"
    Path("filmgate.toml").write_text('schema = "file"\n')
    assert load().database_schema == "file"
    monkeypatch.setenv("FILMGATE_SCHEMA", "environment")
    assert load().database_schema == "environment"
