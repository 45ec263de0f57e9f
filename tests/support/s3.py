"""A server that speaks S3, and object stores on it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from filmgate.core.objects import ObjectStore
from filmgate.store.addresses import S3Options, open_store

FAKE_KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests"}
REAL_SERVER_VARIABLES = (
    "FILMGATE_TEST_S3_ENDPOINT",
    "FILMGATE_TEST_S3_KEY",
    "FILMGATE_TEST_S3_SECRET",
)
"""Variables with the address and keys of a real server, for `make test-s3`.

The keys must allow to create buckets.
"""


@contextmanager
def moto_server() -> Iterator[str]:
    """Run an empty server in this process; yield its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Address of a server that speaks S3: the real one if it is configured, else moto's."""
    endpoint, key, secret = (os.environ.get(name) for name in REAL_SERVER_VARIABLES)
    keys = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret} if endpoint else FAKE_KEYS
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value or "")
        patch.delenv("AWS_PROFILE", raising=False)
        if endpoint:
            yield endpoint
        else:
            with moto_server() as address:
                yield address


def new_bucket(endpoint: str) -> str:
    """Create an empty bucket; return its name."""
    name = f"tests-{uuid4().hex[:12]}"
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=name)
    return name


@pytest.fixture
def bucket(s3_endpoint: str) -> ObjectStore:
    """A store below a prefix of a new bucket."""
    return open_store(
        f"s3://{new_bucket(s3_endpoint)}/some/prefix", S3Options(endpoint=s3_endpoint)
    )
