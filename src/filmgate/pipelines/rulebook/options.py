"""The options of the rulebook pipeline."""

from typing import Annotated, Literal

from pydantic import Field

from filmgate.core.pipeline import Options, Sets


class RulebookOptions(Options):
    """What users choose most often, beside the uploads."""

    ocr: Annotated[
        bool | None, Field(description="Read scanned pages with OCR."), Sets(("A.ocr",))
    ] = None
    parser: Annotated[
        Literal["native", "unstructured"] | None,
        Field(description="Parser that splits books into chunks. Default: native."),
        Sets(("C.parser",)),
    ] = None
    enricher: Annotated[
        Literal["native", "haystack"] | None,
        Field(description="Enricher that finds entities in chunks. Default: native."),
        Sets(("D.enricher",)),
    ] = None
    embeddings: Annotated[
        bool | None,
        Field(description="Compute embeddings, for `filmgate ask --vectors`."),
        Sets(("D.embeddings",)),
    ] = None
    graph: Annotated[
        Literal["native", "llamaindex"] | None,
        Field(description="Builder of the graph. Default: native."),
        Sets(("E.graph",)),
    ] = None
