"""Text for a terminal: safe characters, plurals, examples."""

from unicodedata import category


def printable(text: str) -> str:
    """Replace control characters, which a terminal would interpret."""
    return "".join(c if c in "\n\t" or category(c) != "Cc" else "\ufffd" for c in text)


def examples(*lines: str) -> str:
    """Return the epilog of a command's help, with example command lines."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def counted(count: int, plural: str) -> str:
    """Return a count with its noun: `1 scene`, `7 scenes`, `1 character skipped`."""
    return f"{count:,} {_singular(plural) if count == 1 else plural}"


def _singular(plural: str) -> str:
    words = plural.split(" ")
    for at in range(len(words) - 1, -1, -1):
        word = words[at]
        if word in _IRREGULAR:
            words[at] = _IRREGULAR[word]
        elif word.endswith("ies"):
            words[at] = f"{word[:-3]}y"
        elif word.endswith(("ches", "shes", "xes", "sses")):
            words[at] = word[:-2]
        elif word.endswith("s") and not word.endswith("ss"):
            words[at] = word[:-1]
        else:
            continue
        break
    return " ".join(words)


_IRREGULAR = {"people": "person", "entities": "entity", "vertices": "vertex", "files": "file"}
