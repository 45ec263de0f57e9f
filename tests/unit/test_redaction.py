"""What is told of a run holds no secrets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.redaction import REDACTED, redact, redact_text, to_json_value

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://me:hunter2@db/films", "hunter2"),
        ("s3://key:sec/ret@bucket", "sec"),
        ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
        ("password=hunter2 and more", "hunter2"),
        ("{'password': 'hunter2'}", "hunter2"),
        ('{"api_key": "hunter2"}', "hunter2"),
        ("tool --password hunter2 --fast", "hunter2"),
        ("postgres://u:p@hunter2@h/db", "hunter2"),
        ("Authorization: Basic aHVudGVyMg==", "aHVudGVyMg"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI", "wJalrXUtnFEMI"),
        ("api_key: 'a b c'", "a b c"),
        ("key AKIAIOSFODNN7EXAMPLE here", "AKIAIOSFODNN7EXAMPLE"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ", "ghp_0123456789"),
        ("sk-abcdefghijklmnopqrstuv", "abcdefghij"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "c2lnbmF0dXJl"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("ask grace.hopper@navy.mil about it", "grace.hopper"),
        ("call +1 (202) 555-0173 now", "555-0173"),
    ],
)
def test_secrets_in_text_are_struck_out(text: str, secret: str) -> None:
    assert secret not in redact_text(text)
    assert REDACTED in redact_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "sha256 " + "a1" * 32,
        "film.mp4: expected 750 frames; got 749",
        "2026-01-02T03:04:05.678901+00:00",
        "file:///home/x/film.mp4",
        "Attempt1_2026-11-21_002541_EST",
        "http://localhost:8080/path",
        "ssd_mobilenet@v2.1",
        "basic verification of 3 files",
        "no token was given",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact_text(text) == text


def test_fields_are_struck_out_by_name_at_any_depth_and_counts_of_tokens_are_not() -> None:
    told = {"tokens": 12, "db": [{"password": "x", "user": "me"}], "api_key": "k", "email": None}
    assert redact(told) == {
        "tokens": 12,
        "db": [{"password": REDACTED, "user": "me"}],
        "api_key": REDACTED,
        "email": None,
    }


@pytest.mark.parametrize(
    "key", ["accessToken", "clientSecret", "X-Api-Key", "passphrase", "db.password", "eMail"]
)
def test_names_of_secrets_are_known_however_they_are_spelled(key: str) -> None:
    assert redact({key: "x"}) == {key: REDACTED}
    assert redact({key: ["x", {"y": "z"}]}) == {key: [REDACTED, {"y": REDACTED}]}


@pytest.mark.parametrize("key", ["speech_ip", "token", "cell_phone", "tokens"])
def test_numbers_are_no_secrets(key: str) -> None:
    assert redact({key: 0.5}) == {key: 0.5}


@pytest.mark.parametrize("text", ["=" + "a." * 40_000, "a@" * 20_000, "://" + ":" * 40_000])
def test_a_hostile_text_is_cut_and_read_in_one_go(text: str) -> None:
    assert len(redact_text(to_json_value(text))) < 21_000


@pytest.mark.parametrize("value", [b"\xff", float("nan"), object(), "caf\udce9", {1: {2}}])
def test_what_json_cannot_hold_is_told_as_text(value: object) -> None:
    json.dumps(to_json_value([value]), allow_nan=False).encode()


@given(JSON)
def test_redaction_keeps_json_json_and_twice_is_once(value: object) -> None:
    once = redact(value)
    json.dumps(once)
    assert redact(once) == once
