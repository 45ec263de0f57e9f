"""`filmgate serve`: serve the HTTP API, with a worker in a child process."""

from typing import Annotated

import typer

from filmgate.cli.output import stderr_console
from filmgate.core.access import LOCAL_HOSTS
from filmgate.core.errors import UsageError
from filmgate.services.access import AccessService
from filmgate.wiring import logs, settings
from filmgate.wiring.extras import require_service
from filmgate.wiring.settings import Settings

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
        typer.Option(
            metavar="N",
            min=0,
            max=64,
            help="Number of jobs to execute at a time; 0 starts no worker.",
        ),
    ] = 1,
    no_auth: Annotated[
        bool,
        typer.Option(
            "--no-auth", help="Accept requests without a token; only with a loopback --host."
        ),
    ] = False,
    proxies: Annotated[
        str,
        typer.Option(
            metavar="ADDRESSES",
            help="Addresses or networks of trusted proxies, separated by commas; only their "
            "X-Forwarded-* headers are used.",
        ),
    ] = "",
) -> None:
    """Serve the HTTP API and execute submitted jobs.

    On a loopback address (127.0.0.1), it prints a one-time sign-in link for a browser. Any other
    address requires an admin token: filmgate tokens create NAME --scope admin.

    On SIGTERM or Ctrl-C, the server waits a short time for running jobs to end. Jobs that are still
    running then are stopped and returned to the queue.
    """
    require_service()
    is_local = host in LOCAL_HOSTS
    if no_auth and not is_local:
        raise UsageError(
            "--no-auth is allowed only with a loopback address",
            expected=f"--host 127.0.0.1 with --no-auth, or --host {host} without --no-auth",
            got="--no-auth",
        )
    loaded = settings.load()
    if not is_local and not _has_admin(loaded):
        raise UsageError(
            f"serving on {host} requires an admin token, and none exists",
            expected="at least one valid admin token",
            got="none",
            hint="Create one with `filmgate tokens create NAME --scope admin`",
        )
    from filmgate.api.server import ServerRunner  # FastAPI comes with the extra `service`

    logs.configure("INFO")
    logs.capture_library_warnings()
    runner = ServerRunner(
        settings=loaded, host=host, port=port, workers=workers, is_open=no_auth, proxies=proxies
    )
    runner.run(_print_address)


def _has_admin(loaded: Settings) -> bool:
    with AccessService(loaded).store() as stored:
        return stored.has_admin()


def _print_address(url: str, code: str | None) -> None:
    """Print the URL of the service, and the one-time link if `code` is given."""
    console = stderr_console()
    console.print(f"Serving on {url}. Press Ctrl-C to stop.")
    if not any(f"//{name}:" in url or f"[{name}]" in url for name in LOCAL_HOSTS):
        console.print(
            "Connections are not encrypted: use a TLS proxy, and set FILMGATE_HOSTS to its name."
        )
    if code is not None:
        console.print(
            "Open this one-time link in a browser within ten minutes, or POST to it for a token:"
        )
        typer.echo(f"{url}/enter?code={code}")
