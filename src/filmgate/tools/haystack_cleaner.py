"""Haystack's cleaner of documents, around which our ids are carried."""

import os
from collections.abc import Sequence
from importlib import metadata

from filmgate.core.errors import ContractBroken, Unavailable
from filmgate.core.plan import Producer

PACKAGE = "haystack-ai"


class HaystackCleaner:
    """The port `Normaliser`, by Haystack's `DocumentCleaner`.

    Haystack makes ids of what a document holds, so that a cleaned one has another: documents go
    in with numbers for ids, which it is asked to keep, and come out by them.
    """

    def __init__(self) -> None:
        os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
        try:
            from haystack.components.preprocessors import DocumentCleaner
        except ImportError as error:
            raise Unavailable(
                "Haystack is not installed",
                expected="the packages of the extra 'haystack'",
                got="no haystack-ai",
                hint="pip install 'filmgate[haystack]', or leave --enricher out",
            ) from error
        self._cleaner = DocumentCleaner(
            remove_empty_lines=False, remove_extra_whitespaces=True, keep_id=True
        )

    @property
    def producer(self) -> Producer:
        """Haystack."""
        return Producer(name=PACKAGE, version=metadata.version(PACKAGE))

    def normalise(self, texts: Sequence[str]) -> list[str]:
        """Each text, cleaned by Haystack; ContractBroken where it loses one."""
        from haystack import Document

        documents = [Document(id=str(n), content=text) for n, text in enumerate(texts)]
        cleaned = {
            int(each.id): each.content or "" for each in self._cleaner.run(documents)["documents"]
        }
        if len(cleaned) != len(texts):
            raise ContractBroken(
                "Haystack lost documents", expected=str(len(texts)), got=str(len(cleaned))
            )
        return [cleaned[number] for number in range(len(texts))]
