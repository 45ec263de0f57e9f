"""`filmgate artifacts` and `filmgate provenance`: artifacts, and where they come from."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from filmgate.cli import selection_options
from filmgate.cli.arguments import AsJson, Asset
from filmgate.cli.output import print_json, stdout_console
from filmgate.cli.rendering import facts_of, print_artifacts, span_of
from filmgate.cli.text import printable
from filmgate.core.answers import ProvenanceAnswer
from filmgate.core.moments import MAX_MS
from filmgate.services.queries import Queries
from filmgate.wiring import settings


def artifacts(
    asset: Asset,
    artifact_type: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Artifact type, such as scene; repeatable."),
    ] = None,
    from_ms: Annotated[
        int | None,
        typer.Option(
            metavar="MS", min=0, max=MAX_MS, help="Start of the time span, in milliseconds."
        ),
    ] = None,
    to_ms: Annotated[
        int | None,
        typer.Option(
            metavar="MS", min=0, max=MAX_MS, help="End of the time span, in milliseconds."
        ),
    ] = None,
    producer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="List only artifacts that this model or program made."),
    ] = None,
    producer_version: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION", help="List only artifacts that this producer version made."
        ),
    ] = None,
    config_hash: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="List only artifacts of runs with this config hash."),
    ] = None,
    selection: selection_options.Mode = None,
    profile: selection_options.Profile = None,
    run: selection_options.Run = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=10_000, help="Maximum number of results.")
    ] = 100,
    cursor: selection_options.Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List the artifacts that overlap a time span, sorted by time."""
    chosen = selection_options.selection_of(selection, profile, run)
    answer = Queries(settings.load()).artifacts(
        asset,
        artifact_types=artifact_type or (),
        from_ms=from_ms,
        to_ms=to_ms,
        producer=producer,
        producer_version=producer_version,
        config_hash=config_hash,
        selection=chosen,
        limit=limit,
        cursor=cursor,
    )
    if as_json:
        print_json(answer)
    else:
        print_artifacts(answer)
        selection_options.warn_if_unserved(answer, chosen)


def provenance(
    artifact: Annotated[
        str, typer.Argument(metavar="ARTIFACT", help="Artifact id: ASSET:RUN:TYPE:ORDINAL.")
    ],
    installation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Installation of the run; required if several have a run with this id.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the model, weights, config, input and stages that produced an artifact."""
    answer = Queries(settings.load()).provenance(artifact, installation)
    if as_json:
        print_json(answer)
    else:
        _print_provenance(answer)


def _print_provenance(answer: ProvenanceAnswer) -> None:
    artifact = answer.artifact
    stdout_console().print(f"{span_of(artifact)}  {artifact.artifact_type}")
    stdout_console().print(escape(printable(facts_of(artifact))))
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
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, fact in facts.items():
        if fact:
            table.add_row(f"[dim]{name}[/]", escape(printable(fact)))
    for number, link in enumerate(answer.chain):
        head = "[dim]stages[/]" if number == 0 else ""
        upstream = ", ".join(link.stands_on) if link.stands_on else "the input"
        record = (link.record_sha256 or "")[:16]
        table.add_row(head, f"{link.stage} (attempt {link.attempt}, record {record}…) ← {upstream}")
    stdout_console().print(table)
