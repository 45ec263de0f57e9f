"""Content negotiation (RFC 9110, 12.5): whether a client accepts gzip, and whether it asks for a
page."""

import re

from starlette.types import Scope as ASGIScope

_WEIGHT = re.compile(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*")


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether a client accepts gzip and does not prefer the plain body."""
    if "gzip" not in accept_encoding.lower() and "*" not in accept_encoding:
        return False
    weights = parse_weights(accept_encoding)
    gzip = weights.get("gzip", weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def wants_page(scope: ASGIScope) -> bool:
    """Whether a browser asks for a page: a GET whose Accept header names HTML, and does not prefer
    JSON. Programs accept `*/*` or JSON."""
    if scope["method"] != "GET":
        return False
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
    if b"text/html" not in accept.lower():
        return False
    weights = parse_weights(accept.decode("latin-1"))
    html = weights.get("text/html", 0.0)
    return html > 0 and html >= weights.get("application/json", 0.0)


def parse_weights(header: str) -> dict[str, float]:
    """Return the members of an Accept or Accept-Encoding header, in lower case, with their weights.
    A weight that is malformed counts as 0, and so refuses its member."""
    weights: dict[str, float] = {}
    for member in header.lower().split(","):
        name, *parameters = member.split(";")
        weight = 1.0
        for parameter in parameters:
            if parameter.lstrip().startswith("q"):
                found = _WEIGHT.fullmatch(parameter)
                weight = float(found[1]) if found is not None else 0.0
        weights[name.strip()] = weight
    return weights
