"""Recognise front matter: settings that some programs put before the text of a file.

Such programs are site generators and note-taking programs. Front matter is YAML between two lines
of `---` (the last one may be `...`), or TOML between two lines of `+++`, beginning at the first
line of the file. In Markdown a line of `---` can also be a thematic break or, below a line of text,
the mark of a heading. Therefore only a block that is certainly settings is treated as front matter;
everything else is text.
"""

import re
import tomllib

MAX_CHARACTERS = 64 * 1024
"""Longest front matter, in characters; a longer block is text. Settings of real files have some
hundreds of characters."""

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_CLOSING = {"---": ("---", "..."), "+++": ("+++",)}
_IDENTIFIER = re.compile(r"[a-z_$][\w.-]*")
"""Form of the key of a setting. Prose such as `Armor Class: 14` and `Note: …` does not match."""

_KNOWN_KEYS = frozenset(
    {"title", "subtitle", "author", "authors", "date", "tags", "aliases", "license", "licence"}
    | {"rights", "description", "layout", "language", "lang", "publisher", "version", "keywords"}
)
"""Keys that are always settings; keys are compared in lower case."""


def split_front_matter(text: str) -> tuple[str, str]:
    """Split a text into (front matter with its delimiters, the rest); the first may be empty.

    Lines may end in LF, CRLF or CR, and delimiters may have trailing blanks. The two parts
    concatenated are the text.
    """
    first = _LINE.match(text)
    delimiter = first[0].rstrip() if first is not None else ""
    if first is None or delimiter not in _CLOSING:
        return "", text
    position = first.end()
    while position < len(text) and position <= MAX_CHARACTERS:
        line = _LINE.match(text, position)
        if line is None:
            break
        if line[0].rstrip() in _CLOSING[delimiter]:
            is_settings = _is_yaml if delimiter == "---" else _is_toml
            if not is_settings(text[first.end() : position]):
                break
            return text[: line.end()], text[line.end() :]
        position = line.end()
    return "", text


def _is_yaml(block: str) -> bool:
    """Whether a block is one YAML mapping with keys of settings."""
    import yaml  # only needed if a file begins with `---`

    try:
        root = yaml.compose(block, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return False
    if not isinstance(root, yaml.MappingNode):
        return False
    keys = [key.value for key, _ in root.value if isinstance(key, yaml.ScalarNode)]
    if len(keys) < len(root.value) or not keys:
        return False
    is_known = any(key.lower() in _KNOWN_KEYS for key in keys)
    return is_known or all(_IDENTIFIER.fullmatch(key) for key in keys)


def _is_toml(block: str) -> bool:
    try:
        return bool(tomllib.loads(block.replace("\r\n", "\n").replace("\r", "\n")))
    except (ValueError, RecursionError):  # an int of over 4,300 digits is a plain ValueError
        return False
