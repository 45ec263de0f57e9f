"""`filmgate artifacts` and `filmgate provenance`: artifacts, and where they come from."""

from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.cli import choosing
from filmgate.cli.output import AsJson
from filmgate.core.moments import MAX_MS

if TYPE_CHECKING:
    from filmgate.core.answers import ProvenanceAnswer

Moment = Annotated[int | None, typer.Option(min=0, max=MAX_MS)]


def artifacts(
    asset: Annotated[str, typer.Argument(help="The video's asset id.")],
    artifact_type: Annotated[
        list[str] | None, typer.Option("--type", help="A type, such as scene; all without it.")
    ] = None,
    from_ms: Moment = None,
    to_ms: Moment = None,
    producer: Annotated[str | None, typer.Option(help="Made by this model or tool.")] = None,
    producer_version: Annotated[str | None, typer.Option(help="In this version of it.")] = None,
    config_hash: Annotated[str | None, typer.Option(help="Under this config.")] = None,
    selection: choosing.Mode = None,
    profile: choosing.Profile = None,
    run: choosing.Run = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many at most.")] = 100,
    cursor: choosing.Cursor = None,
    as_json: AsJson = False,
) -> None:
    """Artifacts of a video in order of time, those that overlap a span."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.archive import Archive
    from filmgate.cli.answers import print_artifacts
    from filmgate.cli.output import print_json

    chosen = choosing.selection_of(selection, profile, run)
    answer = Archive(settings.load()).artifacts(
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
        choosing.tell_unserved(answer, chosen)


def provenance(
    artifact: Annotated[str, typer.Argument(help="Its id: asset:run:type:ordinal.")],
    installation: Annotated[
        str | None, typer.Option(help="Whose run, where two installations have one of that id.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Where an artifact comes from: model, weights, config, input, and every stage before it."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.archive import Archive
    from filmgate.cli.output import print_json

    answer = Archive(settings.load()).provenance(artifact, installation)
    if as_json:
        print_json(answer)
    else:
        _show(answer)


def _show(answer: "ProvenanceAnswer") -> None:
    from rich.markup import escape
    from rich.table import Table

    from filmgate.cli.answers import facts_of, span_of
    from filmgate.cli.output import out, printable

    artifact = answer.artifact
    out().print(f"{span_of(artifact)}  {artifact.artifact_type}")
    out().print(escape(printable(facts_of(artifact))))
    served = "served" if answer.is_served else "not served"
    status = f"{answer.run_status}, profile {artifact.model_profile}, {served}"
    facts = {
        "made by": f"{artifact.producer} {artifact.producer_version}",
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
        word = "[dim]stages[/]" if number == 0 else ""
        upon = f" ← {', '.join(link.stands_on)}" if link.stands_on else " ← the input"
        record = (link.record_sha256 or "")[:16]
        table.add_row(word, f"{link.stage} (attempt {link.attempt}, record {record}…){upon}")
    out().print(table)
