"""A server that speaks S3, and stores on it."""

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

KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests"}
REAL = ("FILMGATE_TEST_S3_ENDPOINT", "FILMGATE_TEST_S3_KEY", "FILMGATE_TEST_S3_SECRET")
"""A real server, for `make test-s3`: its address, and a key that may make buckets."""


@contextmanager
def moto_server() -> Iterator[str]:
    """A server in this process, with nothing in it; its address."""
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
    """A server that speaks S3: the real one where there is one, else moto's."""
    endpoint, key, secret = (os.environ.get(name) for name in REAL)
    keys = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret} if endpoint else KEYS
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
    """An empty bucket of one's own."""
    name = f"tests-{uuid4().hex[:12]}"
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=name)
    return name


@pytest.fixture
def bucket(s3_endpoint: str) -> ObjectStore:
    """A store in a bucket of its own, below a prefix."""
    return open_store(
        f"s3://{new_bucket(s3_endpoint)}/some/prefix", S3Options(endpoint=s3_endpoint)
    )
