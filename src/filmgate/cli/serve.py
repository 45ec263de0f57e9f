"""`filmgate serve`: the HTTP API, with a worker in a process beside it."""

from typing import Annotated

import typer

from filmgate.app import logs, settings
from filmgate.app.access import AccessService
from filmgate.app.extras import require_service
from filmgate.cli.output import stderr_console
from filmgate.core.access import LOCAL_HOSTS
from filmgate.core.errors import UsageError

PORT = 8321


def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Port; 0 chooses a free one.")
    ] = PORT,
    workers: Annotated[
        int,
        typer.Option(metavar="N", min=0, max=64, help="Execute N jobs at a time; 0 starts none."),
    ] = 1,
    no_auth: Annotated[
        bool,
        typer.Option("--no-auth", help="Require no token. Only with a loopback --host."),
    ] = False,
    proxies: Annotated[
        str,
        typer.Option(
            metavar="ADDRESSES",
            help="Trusted proxies, separated by commas, whose X-Forwarded-* headers are used.",
        ),
    ] = "",
) -> None:
    """Serve the HTTP API and execute the jobs that are submitted.

    On a loopback address (127.0.0.1), a link is printed that signs a browser in once. On any other
    address, at least one admin token is required: filmgate tokens create NAME --scope admin.

    On SIGTERM or Ctrl-C, running jobs get a short time to end; the others go back to the queue.
    """
    require_service()
    is_local = host in LOCAL_HOSTS
    if no_auth and not is_local:
        raise UsageError(
            "--no-auth is allowed only on this machine",
            expected=f"--host 127.0.0.1 with --no-auth, or --host {host} without --no-auth",
            got="--no-auth",
        )
    loaded = settings.load()
    if not is_local and not AccessService(loaded).has_admin():
        raise UsageError(
            f"{host} would serve no user: no admin token exists",
            expected="at least one admin token",
            got="none",
            hint="filmgate tokens create NAME --scope admin",
        )
    from filmgate.api.server import ServerRunner  # FastAPI comes with the extra `service`

    logs.configure("INFO")
    logs.capture_library_warnings()
    runner = ServerRunner(
        settings=loaded, host=host, port=port, workers=workers, is_open=no_auth, proxies=proxies
    )
    runner.run(_print_address)


def _print_address(url: str, code: str | None) -> None:
    """Print where the service is, and the one-time link, if any."""
    console = stderr_console()
    console.print(f"Serving on {url}. Ctrl-C stops.")
    if not any(f"//{name}:" in url or f"[{name}]" in url for name in LOCAL_HOSTS):
        console.print("Plain HTTP under any host name: add a TLS proxy, and set FILMGATE_HOSTS.")
    if code is not None:
        console.print("Open this link in a browser (valid once, ten minutes); POST gets a token:")
        typer.echo(f"{url}/enter?code={code}")
