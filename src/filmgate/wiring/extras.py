"""Check of the optional dependencies of the service."""

from importlib.util import find_spec

from filmgate.core.errors import Unavailable

SERVICE = ("fastapi", "procrastinate", "prometheus_client", "psutil", "psycopg_pool", "uvicorn")


def require_service() -> None:
    """Raise Unavailable if the service's libraries are not installed."""
    missing = [name for name in SERVICE if find_spec(name) is None]
    if missing:
        raise Unavailable(
            "the service is not installed",
            expected="the extra filmgate[service]",
            got=f"no {', '.join(missing)}",
            hint="pip install 'filmgate[service]'",
        )
