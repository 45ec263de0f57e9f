"""What is told of a run holds no secrets."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.redaction import redact, redact_form, redact_text, to_json_value
from filmgate.core.secret_forms import FORMS, REDACTED, Form

ROOT = Path(__file__).parents[2]
LETTERS = "aB3" * 30
HEX = "0a1b2c3d" * 8

EXAMPLES: dict[str, list[tuple[str, str]]] = {
    "credentials in a URL": [("postgresql://me:hunter2@db/films", "hunter2")],
    "bearer token": [("sent Bearer abcdef0123456789", "abcdef0123456789")],
    "basic authentication": [("Authorization: Basic aHVudGVyMg==", "aHVudGVyMg==")],
    "value of a field": [
        ("password=hunter2 and more", "hunter2"),
        ('{"api_key": "hunter2"}', "hunter2"),
        ("password=[redacted]hunter2", "hunter2"),
    ],
    "value of an option": [("tool --password hunter2 --fast", "hunter2")],
    "signature of a URL": [
        (f"https://b.s3.amazonaws.com/k?X-Amz-Signature={HEX}&X-Amz-Expires=60", HEX),
        (f"?X-Amz-Credential={LETTERS}%2F20261130%2Fus-east-1", LETTERS),
        (f"https://storage.googleapis.com/b/k?X-Goog-Signature={HEX}", HEX),
        ("https://a.blob.core.windows.net/c?sv=2024&sig=abc%2Bdef%3D", "abc%2Bdef%3D"),
    ],
    "signature of a request": [
        (f"AWS4-HMAC-SHA256 SignedHeaders=host, Signature={HEX}", HEX),
        (f"X-Amz-Security-Token: {LETTERS}", LETTERS),
    ],
    "AWS access key id": [
        (f"key {prefix}IOSFODNN7EXAMPLE", "FODNN7") for prefix in ("AKIA", "ASIA")
    ],
    "Azure storage key": [(f"AccountName=a;AccountKey={LETTERS}==;", LETTERS)],
    "GitHub token": [
        *((f"{prefix}_{LETTERS[:36]} here", LETTERS[:36]) for prefix in ("ghp", "gho", "ghs")),
        (f"github_pat_{LETTERS[:22]}_{LETTERS[:59]}", LETTERS[:59]),
    ],
    "GitLab token": [
        (f"glpat-{LETTERS[:20]}", LETTERS[:20]),
        (f"glrt-{LETTERS[:20]}", LETTERS[:20]),
        (f"gldt-{LETTERS[:20]}", LETTERS[:20]),
    ],
    "Slack token": [
        *((f"xox{kind}-123456789012-{LETTERS[:24]}", LETTERS[:24]) for kind in "abeoprs"),
        (f"xapp-1-A01-123-{LETTERS[:30]}", LETTERS[:30]),
    ],
    "Slack webhook": [(f"https://hooks.slack.com/services/T01/B01/{LETTERS[:24]}", LETTERS[:24])],
    "Hugging Face token": [(f"HF: hf_{LETTERS[:34]}", LETTERS[:34])],
    "Google API key": [(f"?k=AIza{LETTERS[:35]}", LETTERS[:35])],
    "Google OAuth token or secret": [
        (f"ya29.{LETTERS[:40]}", LETTERS[:40]),
        (f"GOCSPX-{LETTERS[:28]}", LETTERS[:28]),
    ],
    "key of a model service": [
        (f"sk-{LETTERS[:48]}", LETTERS[:48]),
        (f"sk-ant-api03-{LETTERS[:60]}", LETTERS[:60]),
        (f"gsk_{LETTERS[:52]}", LETTERS[:52]),
        (f"r8_{LETTERS[:37]}", LETTERS[:37]),
    ],
    "Stripe key": [
        (f"sk_live_{LETTERS[:24]}", LETTERS[:24]),
        (f"rk_test_{LETTERS[:24]}", LETTERS[:24]),
        (f"whsec_{LETTERS[:32]}", LETTERS[:32]),
    ],
    "SendGrid key": [(f"SG.{LETTERS[:22]}.{LETTERS[:43]}", LETTERS[:43])],
    "Twilio key": [(f"SK{HEX[:32]}", HEX[:32])],
    "token of a package registry": [
        (f"npm_{LETTERS[:36]}", LETTERS[:36]),
        (f"pypi-AgE{LETTERS[:60]}", LETTERS[:60]),
        (f"dckr_pat_{LETTERS[:27]}", LETTERS[:27]),
    ],
    "token of a cloud service": [
        (f"dop_v1_{HEX}", HEX),
        (f"dapi{HEX[:32]}", HEX[:32]),
        (f"hvs.{LETTERS[:30]}", LETTERS[:30]),
        (f"glsa_{LETTERS[:32]}_{HEX[:8]}", LETTERS[:32]),
        (f"ATATT3{LETTERS[:60]}", LETTERS[:60]),
    ],
    "Telegram bot token": [(f"bot 123456789:AA{LETTERS[:33]}", LETTERS[:33])],
    "Filmgate token": [(f"fg_a1b2c3d4e5f6_{LETTERS[:43]}", LETTERS[:43])],
    "Filmgate link or session": [
        (f"http://127.0.0.1:8321/enter?code={LETTERS[:43]}", LETTERS[:43]),
        (f"filmgate_session={LETTERS[:43]}; path=/", LETTERS[:43]),
    ],
    "JSON web token": [("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "c2lnbmF0dXJl")],
    "private key": [
        (f"-----BEGIN {name}-----\nMIIE\n-----END {name}-----", "MIIE")
        for name in (
            *("PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"),
        )
    ],
    "age key": [(f"AGE-SECRET-KEY-1{'QPZRY9X8' * 7}AB", "QPZRY9X8")],
    "e-mail address": [("ask grace.hopper@navy.mil about it", "grace.hopper")],
    "international phone number": [
        ("call +1 (202) 555-0173 now", "555-0173"),
        ("+49 171 2345678", "2345678"),
        ("+1.202.555.0173", "0173"),
        ("0049 30 1234567", "1234567"),
    ],
    "phone number of North America": [
        ("call (202) 555-0173 now", "555-0173"),
        ("202-555-0173", "0173"),
        ("at 202.555.0173.", "0173"),
        ("202 555 0173", "0173"),
        ("1-800-555-0199", "0199"),
        ("lisa,(555) 123-4567,paris", "4567"),
    ],
    "phone number with a trunk prefix": [
        ("030 12345678", "12345678"),
        ("0171/2345678", "2345678"),
        ("(0221) 123456", "123456"),
        ("020 7946 0958", "0958"),
        ("07700 900123", "900123"),
        ("06 12 34 56 78", "56 78"),
    ],
    "phone number after a word": [
        ("phone: 5550173", "5550173"),
        ("Tel. 555-0173", "555-0173"),
        ("mobile 2025550173", "2025550173"),
        ("social security number 123 45 6789", "6789"),
    ],
    "card number": [
        ("4111 1111 1111 1111", "1111"),
        ("5555-5555-5555-4444", "4444"),
        ("card 2223003122003222", "2003222"),
        ("3782 822463 10005", "10005"),
        ("6011111111111117", "1117"),
        ("3530111333300000", "0000"),
    ],
    "social security number": [("is 123-45-6789.", "6789")],
    "IPv4 address": [
        ("client 203.0.113.7 refused", "203.0"),
        ("192.168.1.20:8080", "192"),
        ("http://10.0.0.5:8000/x", "10.0"),
        ("52.3.4.5", "52.3"),
        ("host=1.2.3.4", "1.2.3.4"),
        ("1.2.3.0/24", "1.2.3"),
        ("8.8.8.8:53", "8.8"),
        ("10.1.2.3-10.1.2.9", "10.1"),
    ],
}
"""Texts with a secret of each form, and a part of the secret."""

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
    ],
)
def test_secrets_in_text_are_struck_out(text: str, secret: str) -> None:
    assert secret not in redact_text(text)
    assert REDACTED in redact_text(text)


def test_every_form_has_an_example_and_a_source() -> None:
    assert list(EXAMPLES) == [form.name for form in FORMS]
    assert all(form.source for form in FORMS)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_secret_of_each_form_is_replaced(form: Form) -> None:
    for text, secret in EXAMPLES[form.name]:
        assert secret in text
        alone, together = redact_form(form, text), redact_text(text)
        assert secret not in alone
        assert REDACTED in alone
        assert secret not in together
        assert redact_text(together) == together


@pytest.mark.parametrize(
    "wrong", ["4111 1111 1111 1112", "1234 5678 9012 3452", "4111 1111-1111 1111"]
)
def test_digits_without_the_check_digit_or_network_of_a_card_stay(wrong: str) -> None:
    assert redact_text(wrong) == wrong


@pytest.mark.parametrize("wrong", ["000-12-3456", "666-12-3456", "912-12-3456", "123-00-4567"])
def test_numbers_that_were_never_social_security_numbers_stay(wrong: str) -> None:
    assert redact_text(wrong) == wrong


@pytest.mark.parametrize(
    "text",
    [
        "sha256 " + "a1" * 32,
        "1.2.3.4",
        "v1.2.3.150",
        "version 10.1.2.3",
        "opencv-python==4.12.0.188",
        "nvidia-curand-cu12 10.3.9.90",
        "upgrade from 1.5.4.1 to 1.5.4.3",
        "rule 31.200.1.2",
        "127.0.0.1:5432",
        "listening on 0.0.0.0, mask 255.255.255.0",
        "5.1.2.3.4",
        "256.300.1.1",
        "00:12:34,567 --> 00:12:36,000",
        "2026-11-30 15:50:09.123456",
        "20261130_155009",
        "20261130155009123456",
        "1764517809",
        "1764517809123456",
        "1,234,567,890 bytes",
        "1 234 567 890 bytes",
        "4294967296 bytes",
        "1920x1080, 29.97 fps",
        "pages 12-34, 101-110",
        "01 02 03 04 05",
        "-rw-r--r-- 0644 1024000 film.mkv",
        "frame_00012345.jpg",
        "12 (+1) 7 (-2) 10 (+0) 10 (+0)",
        "job 4242424242424243 of 5",
        "123e4567-e89b-12d3-a456-426614174000",
        "11111111-2222-3333-4444-555555555555",
        "gatecheck-s01e01:Attempt1_2026-11-21_002541_EST:scene:3",
        "task-runner-with-a-long-name",
        "hf_hub_download failed",
        "the session ended; its key is missing",
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


@given(st.lists(st.integers(0, 31), min_size=4, max_size=4).filter(lambda n: n[0] not in {10}))
def test_four_small_numbers_are_a_version(numbers: list[int]) -> None:
    text = f"a {'.'.join(map(str, numbers))} b"
    assert redact_text(text) == text


@given(st.integers(0, 2**33))
def test_times_stay_in_every_common_form(seconds: int) -> None:
    time = datetime.fromtimestamp(seconds, UTC)
    forms = ("%Y-%m-%dT%H:%M:%S.%f+00:00", "%Y-%m-%d %H:%M:%S", "%Y%m%dT%H%M%SZ", "%Y%m%d%H%M%S")
    texts = [time.strftime(form) for form in (*forms, "%d.%m.%Y", "%m/%d/%Y", "%d-%m-%Y")]
    texts += [f"Attempt1_{time:%Y-%m-%d_%H%M%S}_EST", f"{time:%H:%M:%S},120", f"{seconds}.25"]
    for text in texts:
        assert redact_text(f"at {text} it ended") == f"at {text} it ended"


@given(st.integers(0, 10**13), st.integers(0, 100))
def test_sizes_counts_and_percentages_stay(size: int, share: int) -> None:
    text = f"{size} of {size:,} bytes ({share} %), {size}.{share} s, page {size}/{size}"
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "part", ["--", "--a", "--a-", "a-", "://", "://a:", "secret='", "a.", "1 ", "eyJ"]
)
def test_a_long_text_without_secrets_is_searched_in_linear_time(part: str) -> None:
    text = part * (20_000 // len(part))
    before = process_time()
    for form in FORMS:
        redact_form(form, text)
    assert process_time() - before < 5  # it took 15 s for `--a`


ALLOWED_IN_DOCS = {"value of a field", "e-mail address"}
"""Forms that the documentation contains in examples, such as `Authorization: Bearer TOKEN`."""


def count_replaced(texts: Iterable[str]) -> tuple[Counter[str], int]:
    """Count the replaced parts of texts by form, and all words."""
    found: Counter[str] = Counter()
    words = 0
    for text in texts:
        words += len(text.split())
        for form in FORMS:
            found[form.name] += len(re.findall(r"\[redacted\]", redact_form(form, text)))
            found[form.name] -= text.count(REDACTED)
    return +found, words


def test_ordinary_text_of_the_documentation_stays() -> None:
    pages = [*ROOT.glob("*.md"), ROOT / "LICENSE", *(ROOT / "docs").rglob("*.md")]
    found, words = count_replaced(page.read_text() for page in pages)
    assert words > 40_000
    assert set(found) <= ALLOWED_IN_DOCS
    assert found.total() / words < 400e-6


def test_numbers_and_names_in_the_code_stay() -> None:
    """The code has fields such as `token=` with expressions as values; only they may match."""
    files = [path for path in (ROOT / "src").rglob("*") if path.suffix in {".py", ".sql", ".json"}]
    found, words = count_replaced(path.read_text() for path in files if path.name != OWN)
    del found["value of a field"]
    assert words > 200_000
    assert found.total() / words < 10e-6, found


OWN = "secret_forms.py"


def test_the_text_of_rulebooks_stays(test_data: Path) -> None:
    """The System Reference Document contains one e-mail address."""
    folder = test_data / "rulebook"
    texts = [(folder / name).read_text() for name in ("cairn-srd.md", "blades-srd.html")]
    document = pypdfium2.PdfDocument(folder / "SRD5.1-CCBY4.0License.pdf")
    pages = [document[number].get_textpage().get_text_range() for number in range(len(document))]
    found, words = count_replaced([*texts, *pages])
    assert words > 200_000
    assert found == {"e-mail address": 1}


@pytest.mark.parametrize(
    "text",
    [
        *("=" + "a." * 40_000, "a@" * 20_000, "://" + ":" * 40_000, "://" * 10_000),
        *("1 " * 20_000, "1." * 20_000, "+1 " * 10_000, "eyJ-" * 10_000, "4111 " * 8_000),
        *("(202) " * 8_000, "phone " * 8_000, "X-Amz-Signature=" * 2_000),
    ],
)
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
