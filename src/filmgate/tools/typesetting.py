"""Typeset a Typst template with data as a PDF, the same bytes every time."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from filmgate.core.errors import Invalid, Unavailable


def typeset(template: bytes, data: Mapping[str, object], pictures: Mapping[str, bytes]) -> bytes:
    """Return a PDF. The template reads its values from `data.json`, and pictures by their names.

    It cannot read other files, and only the fonts that Typst includes are used. Raises Unavailable
    if Typst is not installed, Invalid if the template cannot be compiled.
    """
    try:
        import typst  # optional
    except ImportError as error:
        raise Unavailable(
            "Typst is not installed",
            expected="the packages of the extra 'episode'",
            got="no package typst",
            hint="pip install 'filmgate[episode]'",
        ) from error
    text = json.dumps(data, ensure_ascii=False, sort_keys=True).encode()
    sources = {"main.typ": template, "data.json": text, **pictures}
    with TemporaryDirectory(prefix="filmgate-") as name:
        folder = Path(name)
        for source, content in sources.items():
            if source != Path(source).name:
                raise ValueError(f"the name of a source must not contain a path: {source!r}")
            (folder / source).write_bytes(content)
        try:
            return typst.compile(folder / "main.typ", root=folder, ignore_system_fonts=True)
        except (typst.TypstError, RuntimeError) as error:
            raise Invalid("the document cannot be typeset", got=str(error)[:500]) from error
