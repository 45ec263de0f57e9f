"""`filmgate tokens`: manage API tokens and share tokens, and create one-time links."""

import getpass
from datetime import timedelta
from typing import Annotated

import typer
from rich.markup import escape

from filmgate.cli.arguments import AsJson, Asset
from filmgate.cli.lazy_group import command_group
from filmgate.cli.output import print_json, print_table, stderr_console
from filmgate.cli.text import examples
from filmgate.core.access import Scope, parse_user
from filmgate.core.access_answers import NewTokenAnswer
from filmgate.core.errors import UsageError
from filmgate.services.access import AccessService
from filmgate.services.videos import VideoService
from filmgate.wiring import settings
from filmgate.wiring.clock import parse_period

app = command_group("Create, list and revoke API tokens.")


@app.command("create", epilog=examples("filmgate tokens create lisa --scope operator"))
def create(
    user: Annotated[str, typer.Argument(metavar="USER", help="Name of the user.")],
    scope: Annotated[
        Scope,
        typer.Option(
            help="viewer: read; operator: also upload, run and select; admin: everything."
        ),
    ] = Scope.VIEWER,
    lifetime: Annotated[
        str,
        typer.Option(
            "--expires", metavar="TIME", help="Lifetime, such as 30m, 12h, 90d or 2w; or never."
        ),
    ] = "90d",
    note: Annotated[str, typer.Option(metavar="TEXT", help="Purpose of the token.")] = "",
    as_json: AsJson = False,
) -> None:
    """Create a token and print it once.

    Only the digest of the token is stored.
    """
    access = _access()
    made = access.create_token(user, scope, note, _parse_lifetime(lifetime))
    access.record_local_change("tokens create", made.token_id, user=user, scope=scope.value)
    _print_new(made, f"Token {made.token_id} of {user}", as_json=as_json)


@app.command("share", epilog=examples("filmgate tokens share film --expires 7d"))
def share(
    asset: Asset,
    lifetime: Annotated[
        str,
        typer.Option(
            "--expires", metavar="TIME", help="Lifetime, such as 12h, 7d or 2w; at most 90d."
        ),
    ] = "7d",
    note: Annotated[str, typer.Option(metavar="TEXT", help="Purpose of the token.")] = "",
    as_json: AsJson = False,
) -> None:
    """Create a token for one video and print it once.

    The token permits its holder to watch the video and to query it, but not to list or to search
    other videos. It always expires.
    """
    period = _parse_lifetime(lifetime)
    if period is None:
        raise UsageError(
            "a share token always expires", expected="12h, 7d or 2w, for example", got="never"
        )
    loaded = settings.load()
    access, asset_id = AccessService(loaded), VideoService(loaded).get(asset).asset_id
    made = access.create_share(asset_id, getpass.getuser(), note, period)
    access.record_local_change("tokens share", made.token_id, asset_id=asset_id)
    _print_new(made, f"Share token {made.token_id} of {asset_id}", as_json=as_json)


@app.command("list", epilog=examples("filmgate tokens list"))
def list_tokens(as_json: AsJson = False) -> None:
    """List all tokens, without their secrets."""
    with _access().store() as stored:
        answer = stored.tokens()
    if as_json:
        print_json(answer)
        return
    if not answer.tokens:
        stderr_console().print(
            "No token exists. To create one: filmgate tokens create NAME --scope admin"
        )
        return
    rows = []
    for token in answer.tokens:
        end = f"{token.expires_at:%Y-%m-%d %H:%M}" if token.expires_at else "never"
        used = f"{token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never"
        state = "[red]revoked[/]" if token.revoked_at else end
        asset, note = escape(token.asset_id or "all"), escape(token.note)
        rows.append([token.token_id, token.user, token.scope.value, asset, state, used, note])
    heads = ("token", "user", "scope", "videos", "expires (UTC)", "last used (UTC)", "note")
    print_table(heads, rows)


@app.command("revoke", epilog=examples("filmgate tokens revoke k3v9x0a1b2c3"))
def revoke(
    token: Annotated[
        str, typer.Argument(metavar="TOKEN", help="Token id, as `filmgate tokens list` prints it.")
    ],
    as_json: AsJson = False,
) -> None:
    """Revoke a token and end its sessions at once."""
    access = _access()
    with access.store() as stored:
        ended = stored.revoke(token)
    access.record_local_change("tokens revoke", ended.token_id)
    if as_json:
        print_json(ended)
    else:
        stderr_console().print(f"revoked token {ended.token_id} of {ended.user}")


@app.command("link", epilog=examples("filmgate tokens link lisa --scope viewer"))
def link(
    user: Annotated[str, typer.Argument(metavar="USER", help="Name of the user.")] = "local",
    scope: Annotated[Scope, typer.Option(help="Scope of the session.")] = Scope.ADMIN,
    url: Annotated[
        str, typer.Option(metavar="URL", help="URL of the service.")
    ] = "http://127.0.0.1:8321",
) -> None:
    """Print a one-time link that signs its user in.

    The link is valid for ten minutes. `curl -X POST LINK` returns a token instead.
    """
    access = _access()
    code = access.create_link(parse_user(user), scope)
    access.record_local_change("tokens link", user, scope=scope.value)
    typer.echo(f"{url.rstrip('/')}/enter?code={code}")


def _print_new(made: NewTokenAnswer, title: str, *, as_json: bool) -> None:
    """Print a new token: its secret on stdout, the rest on stderr."""
    if as_json:
        print_json(made)
        return
    end = f"expires {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else "never expires"
    stderr_console().print(f"{title} ({made.scope.value}, {end}). It is printed only once:")
    typer.echo(made.token)


def _access() -> AccessService:
    return AccessService(settings.load())


def _parse_lifetime(text: str) -> timedelta | None:
    if text == "never":
        return None
    if (lifetime := parse_period(text)) is None:
        raise UsageError(
            "the lifetime is invalid",
            expected="30m, 12h, 90d or 2w, for example, or never",
            got=repr(text),
        )
    return lifetime
