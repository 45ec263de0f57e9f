"""What is told of a run holds no secrets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.redaction import REDACTED, redact, redact_text

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


@given(JSON)
def test_redaction_keeps_json_json_and_twice_is_once(value: object) -> None:
    once = redact(value)
    json.dumps(once)
    assert redact(once) == once
