"""`filmgate publish`: hand a finished run on."""

from typing import Annotated

import typer

from filmgate.cli.output import AsJson

PUBLISHING = "publishing"


def publish(
    run: Annotated[str, typer.Argument(help="A run's folder, asset/run, a run id, or an asset.")],
    to: Annotated[
        str | None,
        typer.Option("--to", help="s3://bucket/prefix or a folder; else FILMGATE_PUBLISH_TO."),
    ] = None,
    announce: Annotated[
        bool,
        typer.Option("--announce/--no-announce", help="Tell of it by the database's outbox."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Put a completed run into a store, its manifest last, and seal it.

    Interrupted anywhere, the same command completes it; what lies there is never overwritten.
    """
    from functools import partial

    from filmgate.app import logs, settings  # keeps --help quick
    from filmgate.app.sync import Sync
    from filmgate.cli.output import out, print_json, talk
    from filmgate.cli.progress import stage_progress

    logs.configure("WARNING")
    with stage_progress(quiet=True) as progress:
        told = partial(progress.stage_progress, PUBLISHING)
        published = Sync(settings.load()).publish(run, to, told, announce=announce)
    if as_json:
        print_json(published)
        return
    how = f"{published.uploaded:,} of {published.files:,} files were new"
    if not published.uploaded:
        how = f"all {published.files:,} files lay there already"
    out().print(f"{published.asset_id} / {published.run_id}  published and sealed  {how}")
    out().print(f"  {published.source}/{published.manifest_key}")
    if not published.is_announced:
        talk().print("not announced: consumers find it by looking into the store")
