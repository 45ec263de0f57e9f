"""Write sections of docs/explanation/benchmarks.md, one per benchmark, and collect their lines."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "benchmarks.md"

_LINES: list[str] = []


def log(line: str = "") -> None:
    """Print a line, and store it for the page."""
    print(line, flush=True)
    _LINES.append(line)


def logged_text() -> str:
    """Return all lines logged so far."""
    return "\n".join(_LINES)


def write_section(name: str, text: str) -> None:
    """Replace a section of the page by `text`, whose headings are moved down one level."""
    lowered = re.sub(r"^(#+) ", r"#\1 ", text.strip(), flags=re.MULTILINE)
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    page = PAGE.read_text()
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(
            f"section {name} is missing in {PAGE}: expected the lines {begin} and {end}"
        )
    PAGE.write_text(f"{before}{begin}\n{lowered}\n{end}{after}")
