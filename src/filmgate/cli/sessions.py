"""`filmgate sessions`: list and end the browser sessions of the service."""

from typing import Annotated

import typer
from rich.markup import escape

from filmgate.cli.arguments import AsJson
from filmgate.cli.lazy_group import command_group
from filmgate.cli.output import print_json, print_table, stderr_console
from filmgate.cli.text import counted, examples
from filmgate.core.access_answers import SessionsAnswer
from filmgate.core.errors import UsageError
from filmgate.services.access import AccessService
from filmgate.wiring import settings

app = command_group("List and end the browser sessions of the service.")


@app.command("list", epilog=examples("filmgate sessions list", "filmgate sessions list --json"))
def list_sessions(
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only the sessions of this user.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the sessions that have not ended, newest first."""
    answer = AccessService(settings.load()).list_sessions(user)
    if as_json:
        print_json(answer)
        return
    if not answer.sessions:
        stderr_console().print("No session exists.")
        return
    rows = []
    for session in answer.sessions:
        ends_at = min(session.expires_at, session.idle_expires_at)
        times = (session.started_at, session.last_used_at, ends_at)
        rows.append(
            [
                session.session_id,
                session.user,
                session.scope.value,
                *(f"{time:%Y-%m-%d %H:%M}" for time in times),
                escape(session.address or "unknown"),
            ]
        )
    heads = ("session", "user", "scope", "started (UTC)", "last used (UTC)", "ends (UTC)")
    print_table((*heads, "address"), rows)


@app.command(
    "revoke",
    epilog=examples(
        "filmgate sessions revoke k3v9x0a1b2c3", "filmgate sessions revoke --user lisa"
    ),
)
def revoke(
    session: Annotated[
        str | None,
        typer.Argument(metavar="SESSION", help="Id, as `filmgate sessions list` prints it."),
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="End all sessions of this user.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """End a session, or all sessions of a user.

    All servers refuse an ended session at once. With --user, the unused one-time links of the user
    become invalid, too. The user's tokens stay valid: revoke them with `filmgate tokens revoke`.
    """
    if (session is None) == (user is None):
        raise UsageError(
            "the sessions to end are not clear",
            expected="the id of a session, or --user NAME",
            got="both" if session is not None else "neither",
        )
    access = AccessService(settings.load())
    if session is not None:
        one = access.revoke_session(session)
        ended = SessionsAnswer(sessions=(one,))
        access.record_local_change("sessions revoke", one.session_id, user=one.user)
    else:
        ended = access.revoke_sessions_of(user or "")
        names = " ".join(each.session_id for each in ended.sessions)
        access.record_local_change("sessions revoke", user or "", sessions=names)
    if as_json:
        print_json(ended)
    else:
        stderr_console().print(f"ended {counted(len(ended.sessions), 'sessions')}")
