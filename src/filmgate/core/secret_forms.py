"""Forms of secrets and personal data in text: one list, each form with its source.

To add a form, add an entry to `FORMS` and an example to `tests/unit/test_redaction.py`, which also
measures false alarms. Formats of tokens are those that their services document. Of numbers that
occur in ordinary text, such as phone numbers, only forms with separators or a word before them are
recognised: a run of digits may be a size, a time or an id.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

REDACTED = "[redacted]"

CONFIDENTIAL = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key(?:[_-]?id)?"
    r"|private[_-]?key|authorization|cookie|session[_-]?id|credentials?|connection[_-]?string|dsn"
)
"""Names of fields and options whose values are secrets."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of secrets or of personal data."""

    name: str
    pattern: str
    """Regular expression. What its group `keep` matches is not replaced."""
    source: str
    """Where the form is specified or documented."""
    hints: tuple[str, ...]
    """Texts in lower case, of which every match contains at least one in any case. A text without
    them is not searched. Empty for forms of numbers, see `NUMBERS`."""
    is_secret: Callable[[re.Match[str]], bool] | None = None
    """Checks a match; None: every match is a secret."""


def has_card_number(found: re.Match[str]) -> bool:
    """Whether digits have the length and first digits of a card network, and a valid check digit.

    The check digit is computed with the algorithm of Luhn (ISO/IEC 7812-1, annex B).
    """
    digits = re.sub(r"\D", "", found[0])
    doubled = "0246813579"
    total = sum(
        int(doubled[int(digit)] if position % 2 else digit)
        for position, digit in enumerate(reversed(digits))
    )
    return total % 10 == 0 and re.fullmatch(_CARD_NETWORKS, digits) is not None


_CARD_NETWORKS = (
    r"4\d{15}"  # Visa
    r"|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Mastercard
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"  # American Express, Diners Club
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14}"
    # Discover, JCB, UnionPay
)


PHONE_DIGITS = range(7, 16)
"""Numbers of digits of a phone number: at least those of a local number, at most those of E.164."""


def has_phone_number(found: re.Match[str]) -> bool:
    """Whether a match has as many digits as a phone number, and is neither a sequence such as
    `01 02 03 04 05`, nor the permissions and the size of a file."""
    parts = re.findall(r"\d+", found["number"])
    steps = [int(after) - int(before) for before, after in pairwise(parts)]
    is_sequence = len(steps) > 1 and len(set(steps)) == 1
    is_list = is_sequence or "(-" in found[0] or parts[0] in _FILE_MODES
    return sum(map(len, parts)) in PHONE_DIGITS and not is_list


_FILE_MODES = frozenset({"0600", "0640", "0644", "0660", "0664", "0700", "0750", "0755", "0775"})

THIS_MACHINE, PRIVATE, NET_MASK = (0, 127), 10, 255
"""First numbers of addresses (RFC 1122, section 3.2.1.3; RFC 1918) and of net masks."""

MAX_OF_ADDRESS = 255
MIN_FIRST, MIN_ANY = 32, 100
"""A first number from 32 on, and any number from 100 on, are hardly ever part of a version: among
the versions in 4.2 million words of documents and code (see docs/reference/formats.md), none."""


def has_address(found: re.Match[str]) -> bool:
    """Whether four numbers are an address of a host, not a version or the number of a section.

    Small numbers are an address only after a word such as `host`, or with a port or a prefix
    length; those that begin with 10, unless the name of a package is before them. Addresses of this
    machine and net masks identify nothing, and are not replaced.
    """
    numbers = [int(number) for number in found["address"].split(".")]
    before = found.string[max(0, found.start() - 40) : found.start()]
    after = found.string[found.end() : found.end() + 6]
    is_general = numbers[0] in {*THIS_MACHINE, NET_MASK}
    if is_general or max(numbers) > MAX_OF_ADDRESS or re.search(_VERSION_BEFORE, before):
        return False
    if before.endswith("-"):  # the end of a range, or a part of a name
        return numbers[:2] == [192, 168] or before[-2:-1].isdigit()
    if max(numbers) >= MIN_ANY or numbers[0] >= MIN_FIRST:
        return True
    if numbers[0] == PRIVATE and not re.search(_PACKAGE_BEFORE, before):
        return True
    return bool(re.search(_HOST_BEFORE, before) or re.match(_PORT_AFTER, after))


_VERSION_BEFORE = (
    r"(?i)(?:\b(?:versions?|ver|v|releases?|build|revision|rev|sections?|sec|chapter|clause|rule"
    r"|part|appendix|table|figure|fig|step)\b\.?|§|(?<!=)[=~<>!]=)[\"'\s:=]*\Z"
)
_PACKAGE_BEFORE = r"[A-Za-z]\w*-[\w-]*\s+\Z|[A-Za-z]+\d\w*\s+\Z"
_HOST_BEFORE = (
    r"(?i)(?:\b(?:ip|ipv4|host|hostname|addr|address|client|peer|remote)[\"']?\s*[:= ]\s*[\"']?"
    r"|://|@)\Z"
)
_PORT_AFTER = r":\d{2,5}\b|/\d{1,2}\b"

NUMBERS = r"(?:\d[ ./()-]{0,2}){4}"
"""Regular expression that is found in every text with a form without hints."""

_NAME_HINTS = (
    *("pass", "pwd", "secret", "token", "key", "authorization", "cookie", "session", "credential"),
    *("connection", "dsn"),
)

FORMS = (
    Form(
        name="credentials in a URL",
        pattern=r"(?<=://)[^/\s:@]{0,255}:[^\s]{1,1024}(?=@)",
        source="RFC 3986, section 3.2.1",
        hints=("://",),
    ),
    Form(
        name="bearer token",
        pattern=r"(?i)(?P<keep>\bbearer\s+)[a-z0-9._~+/=-]{8,}",
        source="RFC 6750, section 2.1",
        hints=("bearer",),
    ),
    Form(
        name="basic authentication",
        pattern=r"(?i)(?P<keep>\bauthorization\W+basic\s+)[a-z0-9+/=]{4,}",
        source="RFC 7617, section 2",
        hints=("authorization",),
    ),
    Form(
        name="value of a field",
        pattern=rf"(?i)(?P<keep>(?:\b|_|-)(?:{CONFIDENTIAL})[\"']?\s*[=:]\s*)"
        r"(?!\[redacted\](?:[\s,;&\"'})\]]|\Z))"
        r"(?:\"[^\"\n]*\"|'[^'\n]*'|(?:\[redacted\]|[^\s,;&\"'})\]])+)",
        source="names of fields: see CONFIDENTIAL",
        hints=_NAME_HINTS,
    ),
    Form(
        name="value of an option",
        pattern=rf"(?i)(?P<keep>(?<!-)--(?:[a-z-]{{0,64}}-)?(?:{CONFIDENTIAL})\s+)"
        r"(?!\[redacted\])[^\s-]\S*",
        source="names of options: see CONFIDENTIAL",
        hints=("--",),
    ),
    Form(
        name="signature of a URL",
        pattern=r"(?i)(?P<keep>[?&](?:X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token)"
        r"|Signature|AWSAccessKeyId|Key-Pair-Id|sig)=)(?!\[redacted\])"
        r"[^&\s\"'<>]+",
        source="https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html, "
        "https://cloud.google.com/storage/docs/authentication/signatures, "
        "https://learn.microsoft.com/rest/api/storageservices/create-service-sas",
        hints=("=",),
    ),
    Form(
        name="signature of a request",
        pattern=r"(?i)(?P<keep>\b(?:X-Amz-)?(?:signature|security-token)\s*[=:]\s*)"
        r"(?!\[redacted\])[A-Za-z0-9+/=%]{40,}",
        source="https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html",
        hints=("signature", "security-token"),
    ),
    Form(
        name="AWS access key id",
        pattern=r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html",
        hints=("akia", "asia", "abia", "acca"),
    ),
    Form(
        name="Azure storage key",
        pattern=r"(?i)(?P<keep>\b(?:Account|SharedAccess)Key=)[A-Za-z0-9+/]{40,}={0,2}",
        source="https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string",
        hints=("key=",),
    ),
    Form(
        name="GitHub token",
        pattern=r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,})",
        source="https://docs.github.com/authentication/keeping-your-account-and-data-secure/about-authentication-to-github",
        hints=("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    Form(
        name="GitLab token",
        pattern=r"\bgl(?:pat|oas|dt|rtr?|cbt|ptt|ft|imt|agent|wt|soat|ffct)-[\w.-]{20,}",
        source="https://docs.gitlab.com/security/tokens/",
        hints=("gl",),
    ),
    Form(
        name="Slack token",
        pattern=r"\b(?:xox[a-z](?:\.xox[a-z])?-[\w-]{10,}|xapp-\d-[\w-]{10,})",
        source="https://docs.slack.dev/authentication/tokens",
        hints=("xox", "xapp-"),
    ),
    Form(
        name="Slack webhook",
        pattern=r"(?P<keep>\bhooks\.slack\.com/(?:services|workflows|triggers)/)[\w/]{20,}",
        source="https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
        hints=("hooks.slack",),
    ),
    Form(
        name="Hugging Face token",
        pattern=r"\b(?:hf|api_org)_[A-Za-z0-9]{20,}\b",
        source="https://huggingface.co/docs/hub/security-tokens",
        hints=("hf_", "api_org_"),
    ),
    Form(
        name="Google API key",
        pattern=r"\bAIza[\w-]{30,}",
        source="https://cloud.google.com/docs/authentication/api-keys",
        hints=("aiza",),
    ),
    Form(
        name="Google OAuth token or secret",
        pattern=r"\b(?:ya29\.|GOCSPX-)[\w-]{20,}",
        source="https://developers.google.com/identity/protocols/oauth2",
        hints=("ya29.", "gocspx-"),
    ),
    Form(
        name="key of a model service",
        pattern=r"\b(?:sk-[A-Za-z0-9_-]{16,}|gsk_[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{30,})\b",
        source="https://platform.openai.com/docs/api-reference/authentication, "
        "https://docs.claude.com/en/api/overview, https://console.groq.com/docs, "
        "https://replicate.com/docs/topics/security/api-tokens",
        hints=("sk-", "gsk_", "r8_"),
    ),
    Form(
        name="Stripe key",
        pattern=r"\b(?:[rs]k_(?:live|test)|whsec)_[A-Za-z0-9]{16,}",
        source="https://docs.stripe.com/keys",
        hints=("k_live_", "k_test_", "whsec_"),
    ),
    Form(
        name="SendGrid key",
        pattern=r"\bSG\.[\w-]{16,32}\.[\w-]{32,64}",
        source="https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys",
        hints=("sg.",),
    ),
    Form(
        name="Twilio key",
        pattern=r"\bSK[0-9a-f]{32}\b",
        source="https://www.twilio.com/docs/iam/api-keys",
        hints=("sk",),
    ),
    Form(
        name="token of a package registry",
        pattern=r"\b(?:npm_[A-Za-z0-9]{30,}|pypi-[\w-]{50,}|dckr_(?:pat|oat)_[\w-]{20,})",
        source="https://docs.npmjs.com/about-access-tokens, https://pypi.org/help/#apitoken, "
        "https://docs.docker.com/security/access-tokens/",
        hints=("npm_", "pypi-", "dckr_"),
    ),
    Form(
        name="token of a cloud service",
        pattern=r"\b(?:do[opr]_v1_[0-9a-f]{40,}|dapi[0-9a-f]{32}|hv[sbr]\.[\w-]{20,}"
        r"|gl(?:sa|c)_[A-Za-z0-9+/_=]{20,}|ATATT3[\w=-]{20,})",
        source="https://docs.digitalocean.com/reference/api/create-personal-access-token/, "
        "https://docs.databricks.com/dev-tools/auth/pat.html, "
        "https://developer.hashicorp.com/vault/docs/concepts/tokens, "
        "https://grafana.com/docs/grafana/latest/administration/service-accounts/, "
        "https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/",
        hints=("_v1_", "dapi", "hvs.", "hvb.", "hvr.", "glsa_", "glc_", "atatt3"),
    ),
    Form(
        name="Telegram bot token",
        pattern=r"\b\d{8,10}:AA[\w-]{32,34}(?![\w-])",
        source="https://core.telegram.org/bots/api#authorizing-your-bot",
        hints=(":aa",),
    ),
    Form(
        name="Filmgate token",
        pattern=r"\bfg_[a-z0-9]{12}_[\w-]{43}",
        source="filmgate/core/access.py",
        hints=("fg_",),
    ),
    Form(
        name="Filmgate link or session",
        pattern=r"(?P<keep>/enter\?code=|\bfilmgate_session=)(?!\[redacted\])[\w-]{20,}",
        source="filmgate/services/access.py",
        hints=("code=", "filmgate_session="),
    ),
    Form(
        name="JSON web token",
        pattern=r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",
        source="RFC 7519, section 3",
        hints=("eyj",),
    ),
    Form(
        name="private key",
        pattern=r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*-----|\Z)",
        source="RFC 7468, sections 10 and 11; RFC 9580, section 6.2",
        hints=("-----begin ",),
    ),
    Form(
        name="age key",
        pattern=r"\bAGE-SECRET-KEY-1[0-9A-Z]{50,}",
        source="https://github.com/C2SP/C2SP/blob/main/age.md",
        hints=("age-secret",),
    ),
    Form(
        name="e-mail address",
        pattern=r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.[A-Za-z]{2,24}\b",
        source="RFC 5321, section 4.1.2",
        hints=("@",),
    ),
    Form(
        name="international phone number",
        pattern=r"(?<![\w.+])(?P<number>\+[1-9](?:[\d ()/-]{6,20}\d|\d{0,2}(?:\.\d{2,5}){2,4})"
        r"|00[1-9]\d{0,2}[ /-]\d[\d ()/-]{5,16}\d)(?!\w|:\d)",
        source="ITU-T E.123 and E.164",
        hints=(),
        is_secret=has_phone_number,
    ),
    Form(
        name="phone number of North America",
        pattern=r"(?<![\w.+-])(?<!\d[ ,:/])(?:1[ .-])?(?:\([2-9]\d\d\)[ -]?\d{3}[ .-]"
        r"|[2-9]\d\d(?P<separator>[.-])\d{3}(?P=separator)|[2-9]\d\d [2-9]\d\d )\d{4}"
        r"(?!\w|[ .,:/-]\d)",
        source="https://www.nanpa.com/numbering/about",
        hints=(),
    ),
    Form(
        name="phone number with a trunk prefix",
        pattern=r"(?<![\w.+-])(?<!\d[ ,:/])(?P<number>\(?0[1-9](?:\d{1,4}(?:[/-]|\)? )\d{3,4}"
        r"(?:[ -]\d{3,4}|\d{2,5})|(?P<pair>[ .-])\d\d(?:(?P=pair)\d\d){3}))(?!\w|[ .,:/-]\d)",
        source="ITU-T E.123, section 4, and https://www.itu.int/oth/T0202.aspx?parent=T0202",
        hints=(),
        is_secret=has_phone_number,
    ),
    Form(
        name="phone number after a word",
        pattern=r"(?i)(?P<keep>\b(?:(?:tele|cell|mobile )?phone|tel|mobile|fax|whatsapp|ssn"
        r"|social security)\b(?: (?:number|no|nr))?[.:=#\s\"']{1,4})"
        r"(?P<number>\(?\d[\d ()./-]{5,18}\d)(?!\w|[.,]\d)",
        source="words before numbers",
        hints=("phone", "tel", "mobile", "fax", "whatsapp", "ssn", "social"),
        is_secret=has_phone_number,
    ),
    Form(
        name="card number",
        pattern=r"(?<![\w.-])(?:\d{14,16}|\d{4}(?P<space>[ -])(?:\d{4}(?P=space)){2}\d{4}"
        r"|\d{4}[ -]\d{6}[ -]\d{4,5})(?![\w-]|\.\d)",
        source="ISO/IEC 7812-1",
        hints=(),
        is_secret=has_card_number,
    ),
    Form(
        name="social security number",
        pattern=r"(?<![\w.-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-]|\.\d)",
        source="https://www.ssa.gov/employer/randomization.html",
        hints=(),
    ),
    Form(
        name="IPv4 address",
        pattern=r"(?<![\w.])(?P<address>(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2}))(?!\w|\.\d)",
        source="RFC 791, RFC 1918",
        hints=(),
        is_secret=has_address,
    ),
)
"""All forms, in the order in which they are replaced."""
