"""`filmgate serve`: the service, with a worker beside it."""

from typing import Annotated

import typer

from filmgate.core.access import LOCAL_NAMES
from filmgate.core.errors import UsageError

PORT = 8321


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = PORT,
    workers: Annotated[
        int, typer.Option(min=0, max=64, help="So many jobs at a time; 0: none here.")
    ] = 1,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Ask nobody who they are; only on this machine.")
    ] = False,
    proxies: Annotated[
        str, typer.Option(help="Addresses of proxies, by comma, whose X-Forwarded-* is believed.")
    ] = "",
) -> None:
    """Serve everything over HTTP, and do the jobs that are submitted.

    On this machine alone, a link is printed that lets one in once. On other addresses, tokens are
    needed: `filmgate tokens create NAME --scope admin`. Asked to stop, it waits a little for jobs
    that are at work, and hands them back.
    """
    from filmgate.app import logs, settings  # keeps --help quick
    from filmgate.app.access import Access
    from filmgate.app.extras import need_service

    need_service()
    is_local = host in LOCAL_NAMES
    if no_auth and not is_local:
        raise UsageError(
            "without asking who it is, only this machine is served",
            expected=f"--host 127.0.0.1, or no --no-auth, with --host {host}",
            got="--no-auth",
        )
    own = settings.load()
    if not is_local and not Access(own).has_admin():
        raise UsageError(
            f"nobody could use it on {host}: there is no token of an admin",
            expected="a token, so that everybody who asks is known",
            got="none",
            hint="filmgate tokens create NAME --scope admin",
        )
    from filmgate.api.serving import Serve

    logs.configure("INFO")
    logs.take_in_libraries()
    serving = Serve(
        settings=own, host=host, port=port, workers=workers, is_open=no_auth, proxies=proxies
    )
    serving.run(_tell)


def _tell(where: str, code: str | None) -> None:
    """Where it is served, and the way in."""
    from filmgate.cli.output import talk

    talk().print(f"serving on {where}; Ctrl-C stops")
    if not any(f"//{name}:" in where or f"[{name}]" in where for name in LOCAL_NAMES):
        talk().print("in plain HTTP, under any name: put TLS in front, and set FILMGATE_HOSTS")
    if code is not None:
        talk().print("good once, for ten minutes, in a browser; `curl -X POST` gets a token:")
        typer.echo(f"{where}/enter?code={code}")
