"""The page of a report: one self-contained HTML file."""

from collections.abc import Callable, Iterator
from html import escape

from pydantic import JsonValue

from filmgate.pipelines.gameplay.report.contents import (
    CheckShare,
    FailureKind,
    FlaggedSession,
    ReportContents,
)

SheetSource = Callable[[FlaggedSession], "str | None"]
"""Returns the contact sheet of a session as a `data:` URL; None if its frames are missing."""

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --bar: #c2410c; --ok: #15803d; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
.facts { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0; }
.fact { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .9rem; }
.fact b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid var(--soft);
  vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { background: var(--soft); border-radius: .3rem; height: .8rem; min-width: 10rem; }
.bar i { display: block; height: 100%; border-radius: .3rem; background: var(--bar); }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .8rem; margin: 1rem 0; }
.card img { width: 100%; height: auto; border-radius: .3rem; margin-top: .5rem; }
.card code { word-break: break-all; }
.evidence { color: #888; font-size: .88rem; overflow-wrap: anywhere; }
.none { color: var(--ok); }
a { color: inherit; }
"""


def render_page(report: ReportContents, sheet: SheetSource) -> Iterator[str]:
    """Yield the parts of the page. Pictures are embedded; the page loads and runs nothing."""
    yield (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(report.title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(report.title)}</h1>"
    )
    yield f"<div class='facts'>{''.join(_facts(report))}</div>"
    yield "<h2>Checks</h2><table>" + "".join(map(_share, report.checks)) + "</table>"
    if report.failure_kinds:
        yield "<h2>Errors</h2><table><tr><th>code<th>items<th>example"
        yield "".join(map(_kind, report.failure_kinds)) + "</table>"
    for check in report.checks:
        if check.flagged:
            yield f"<h2 id='{escape(check.name)}'>{escape(check.name)}: {_format_share(check)}</h2>"
            if len(check.worst) < check.flagged:
                yield f"<p class='evidence'>The {len(check.worst)} most severe of them.</p>"
            for flagged in check.worst:
                yield _card(flagged, sheet(flagged))
    yield "</body></html>\n"


def _facts(report: ReportContents) -> Iterator[str]:
    facts = {
        "sessions": f"{report.rows - report.failed:,}",
        "without a flag": f"{report.clean:,}",
        "errors": f"{report.failed:,}",
    }
    if report.menu_mean is not None:
        facts["mean share of menus"] = f"{report.menu_mean:.1%}"
    for name, value in facts.items():
        yield f"<div class='fact'><b>{value}</b>{name}</div>"


def _share(check: CheckShare) -> str:
    name = escape(check.name)
    link = f"<a href='#{name}'>{name}</a>" if check.flagged else name
    return (
        f"<tr><td>{link}<td class='n'>{_format_share(check)}"
        f"<td><div class='bar'><i style='width:{check.share:.2%}'></i></div>"
    )


def _format_share(check: CheckShare) -> str:
    return f"{check.flagged:,} of {check.judged:,} ({check.share:.1%})"


def _kind(kind: FailureKind) -> str:
    return (
        f"<tr><td>{escape(kind.code)}<td class='n'>{kind.count:,}"
        f"<td><code>{escape(kind.example)}</code><br>"
        f"<span class='evidence'>{escape(kind.message)}</span>"
    )


def _card(flagged: FlaggedSession, picture: str | None) -> str:
    evidence = ", ".join(
        f"{escape(name)} {escape(_format_value(v))}" for name, v in _evidence(flagged)
    )
    image = (
        f"<img src='{picture}' alt='frames of {escape(flagged.video_id)}' loading='lazy'>"
        if picture
        else f"<p class='evidence'>No frames: {escape(flagged.pt_key)} is missing or cannot be "
        "read. Name the place of the .pt files with --manifest-bucket.</p>"
    )
    return (
        f"<div class='card'><b>{escape(flagged.video_id)}</b> <code>{escape(flagged.s3_key)}</code>"
        f"<div class='evidence'>{evidence}</div>{image}</div>"
    )


def _evidence(flagged: FlaggedSession) -> list[tuple[str, JsonValue]]:
    return [(name, value) for name, value in flagged.evidence.items() if value not in (None, [])]


MAX_LIST_ITEMS = 12
"""Number of items of a list after which it is cut off."""


def _format_value(value: JsonValue) -> str:
    if isinstance(value, list):
        more = ", …" if len(value) > MAX_LIST_ITEMS else ""
        return "[" + ", ".join(str(item) for item in value[:MAX_LIST_ITEMS]) + more + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
