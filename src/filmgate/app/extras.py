"""What is installed besides the core, and how to get what is not."""

from importlib.util import find_spec

from filmgate.core.errors import Unavailable

SERVICE = ("fastapi", "procrastinate", "prometheus_client", "psutil", "psycopg_pool", "uvicorn")


def need_service() -> None:
    """Raise Unavailable where the service's libraries are not installed."""
    missing = [name for name in SERVICE if find_spec(name) is None]
    if missing:
        raise Unavailable(
            "the service is not installed",
            expected="the extra filmgate[service]",
            got=f"no {', '.join(missing)}",
            hint="pip install 'filmgate[service]'",
        )
