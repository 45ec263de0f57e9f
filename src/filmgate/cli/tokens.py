"""`filmgate tokens`: who may use the service over HTTP."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.cli.output import AsJson
from filmgate.core.access import Scope
from filmgate.core.errors import UsageError

if TYPE_CHECKING:
    from filmgate.app.access import Access

app = typer.Typer(help="Who may use the service over HTTP.", no_args_is_help=True)

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@app.command("create")
def create(
    user: Annotated[str, typer.Argument(help="Whose it is.")],
    scope: Annotated[
        Scope, typer.Option(help="viewer asks; operator runs, too; admin may do everything.")
    ] = Scope.VIEWER,
    lasts: Annotated[
        str, typer.Option("--expires", help="After 30m, 12h, 90d, 2w; or never.")
    ] = "90d",
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a token. It is shown once: only its digest is kept."""
    from filmgate.cli.output import print_json, talk

    access = _access()
    made = access.create(user, scope, note, _lasts(lasts))
    access.note_here("tokens create", made.token_id, user=user, scope=scope.value)
    if as_json:
        print_json(made)
        return
    until = f"until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else "for ever"
    talk().print(f"{scope.value} token {made.token_id} for {user}, {until}; it is shown this once:")
    typer.echo(made.token)


@app.command("list")
def list_tokens(as_json: AsJson = False) -> None:
    """All tokens, without their secrets."""
    from rich.markup import escape

    from filmgate.cli.output import columns, out, print_json, talk

    answer = _access().tokens()
    if as_json:
        print_json(answer)
        return
    if not answer.tokens:
        talk().print("no tokens: `filmgate tokens create NAME --scope admin` makes one")
        return
    table = columns("token", "user", "scope", "expires (UTC)", "last used", "note")
    for each in answer.tokens:
        until = f"{each.expires_at:%Y-%m-%d %H:%M}" if each.expires_at else "never"
        used = f"{each.last_used_at:%Y-%m-%d %H:%M}" if each.last_used_at else "never"
        ends = "[red]revoked[/]" if each.revoked_at else until
        table.add_row(each.token_id, each.user, each.scope.value, ends, used, escape(each.note))
    out().print(table)


@app.command("revoke")
def revoke(
    token: Annotated[str, typer.Argument(help="Its id, as the list shows it.")],
    as_json: AsJson = False,
) -> None:
    """End a token at once, and every session that it began."""
    from filmgate.cli.output import print_json, talk

    access = _access()
    ended = access.revoke(token)
    access.note_here("tokens revoke", ended.token_id)
    if as_json:
        print_json(ended)
    else:
        talk().print(f"token {ended.token_id} of {ended.user} is revoked")


@app.command("link")
def link(
    user: Annotated[str, typer.Argument(help="Who is let in.")] = "local",
    scope: Annotated[Scope, typer.Option(help="What they may do.")] = Scope.ADMIN,
    url: Annotated[str, typer.Option(help="Where the service is.")] = "http://127.0.0.1:8321",
) -> None:
    """A link that lets somebody in once, within ten minutes: for a browser, or for curl -X POST,
    which gets a token."""
    from filmgate.core.access import parse_user

    access = _access()
    code = access.link(parse_user(user), scope)
    access.note_here("tokens link", user, scope=scope.value)
    typer.echo(f"{url.rstrip('/')}/enter?code={code}")


def _access() -> "Access":
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.access import Access

    return Access(settings.load())


def _lasts(text: str) -> timedelta | None:
    if text == "never":
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", text)
    if found is None:
        raise UsageError(
            "this is no time", expected="such as 30m, 12h, 90d, 2w, or never", got=repr(text)
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
