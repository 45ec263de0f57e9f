"""Query: the model, config, input and stages that an artifact comes from."""

from typing import Annotated

from pydantic import Field

from filmgate.core.answers import ProvenanceAnswer
from filmgate.core.command import CommandLine, Parameters, Printer
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.query import Query, QueryContext
from filmgate.db.artifacts import Artifacts
from filmgate.db.sessions import connection_of
from filmgate.services.queries.parameters import Word
from filmgate.services.queries.rendering import clock_span, facts_of

WIDTH = 10
"""Width of the names of facts, in characters."""


class ProvenanceParameters(Parameters):
    """Parameters of a query about one artifact."""

    artifact_id: Annotated[
        str,
        Field(
            max_length=600,
            description="asset:run:type:ordinal",
            examples=["gatecheck-s01e01:Attempt1_2026-11-21_002541_EST:scene:3"],
        ),
        CommandLine(
            is_argument=True, metavar="ARTIFACT", help="Artifact id: ASSET:RUN:TYPE:ORDINAL."
        ),
    ]
    installation: Annotated[
        Word | None,
        Field(description="Installation of the run; required if several have such a run."),
        CommandLine(
            metavar="NAME",
            help="Installation of the run; required if several have a run with this id.",
        ),
    ] = None


def provenance(context: QueryContext, parameters: ProvenanceParameters) -> ProvenanceAnswer:
    """Return the model, weights, config, input and stages that produced an artifact."""
    with context.read() as session:
        artifacts = Artifacts(connection_of(session), BUILT_IN)  # provenance parses no payload
        return artifacts.provenance(parameters.artifact_id, installation=parameters.installation)


def show(answer: ProvenanceAnswer, _parameters: ProvenanceParameters, printer: Printer) -> None:
    """Print the facts about an artifact, and the stages from it to the input."""
    artifact = answer.artifact
    printer.line(*clock_span(artifact), f"  {artifact.artifact_type}")
    printer.line(facts_of(artifact))
    served = "served" if answer.is_served else "not served"
    status = f"{answer.run_status}, profile {artifact.model_profile}, {served}"
    facts = {
        "producer": f"{artifact.producer} {artifact.producer_version}",
        "weights": answer.weights_sha256,
        "config": f"{artifact.config_hash}  {answer.config or ''}",
        "run": f"{artifact.run_id}  {status}",
        "file": f"{answer.path}  sha256:{answer.file_sha256}" if answer.path else None,
        "manifest": f"sha256:{answer.manifest_sha256}" if answer.manifest_sha256 else None,
        "input": f"{artifact.input_hash}  {answer.asset_uri}",
    }
    for name, fact in facts.items():
        if fact:
            printer.line((name.ljust(WIDTH), "dim"), fact)
    for number, link in enumerate(answer.chain):
        head = "stages" if number == 0 else ""
        upstream = ", ".join(link.stands_on) if link.stands_on else "the input"
        record = (link.record_sha256 or "")[:16]
        text = f"{link.stage} (attempt {link.attempt}, record {record}…) ← {upstream}"
        printer.line((head.ljust(WIDTH), "dim"), text)


PROVENANCE = Query(
    name="provenance",
    path="/v1/artifacts/{artifact_id}/provenance",
    tag="artifacts",
    parameters=ProvenanceParameters,
    answer=ProvenanceAnswer,
    run=provenance,
    show=show,
)
