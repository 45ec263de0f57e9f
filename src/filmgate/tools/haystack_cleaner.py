"""Adapter of Haystack's `DocumentCleaner` that preserves the order of the texts."""

import os
from collections.abc import Sequence
from importlib import metadata

from filmgate.core.errors import ContractBroken, Unavailable
from filmgate.core.plan import Producer

PACKAGE = "haystack-ai"


class HaystackCleaner:
    """Implements the port `Normaliser` with Haystack's `DocumentCleaner`.

    By default Haystack derives a document's id from its content, so that cleaning changes the id.
    Here each document gets its position as id, and `keep_id` preserves it.
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
                hint="pip install 'filmgate[haystack]', or omit --enricher",
            ) from error
        self._cleaner = DocumentCleaner(
            remove_empty_lines=False, remove_extra_whitespaces=True, keep_id=True
        )

    @property
    def producer(self) -> Producer:
        """Haystack and its version."""
        return Producer(name=PACKAGE, version=metadata.version(PACKAGE))

    def normalise(self, texts: Sequence[str]) -> list[str]:
        """Return each text as cleaned by Haystack, in the same order.

        Raises ContractBroken if Haystack drops a document.
        """
        from haystack import Document

        documents = [Document(id=str(n), content=text) for n, text in enumerate(texts)]
        cleaned = {
            int(document.id): document.content or ""
            for document in self._cleaner.run(documents)["documents"]
        }
        if len(cleaned) != len(texts):
            raise ContractBroken(
                "documents are missing from Haystack's result",
                expected=str(len(texts)),
                got=str(len(cleaned)),
            )
        return [cleaned[index] for index in range(len(texts))]
