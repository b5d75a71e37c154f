"""The network between S3 and its clients breaks in the ways it is told to, and counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from http_proxy import HttpProxy
from s3_server import BUCKET

Make = Callable[..., tuple[HttpProxy, boto3.client]]


@pytest.fixture
def make(s3_endpoint: str) -> Iterator[Make]:
    """A proxy with faults, and a client of it that tries everything once."""
    with ExitStack() as opened:

        def make(faults: dict[str, float], stall_s: float = 60.0) -> tuple[HttpProxy, boto3.client]:
            proxy = opened.enter_context(HttpProxy(urlsplit(s3_endpoint).port or 0, 1, faults, stall_s))
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
            once = Config(read_timeout=1, retries={"total_max_attempts": 1})
            client = boto3.session.Session(**keys).client("s3", endpoint_url=proxy.endpoint, config=once)
            opened.callback(client.close)
            return proxy, client

        yield make


def put(client: boto3.client, body: bytes = b"what was meant") -> None:
    client.put_object(Bucket=BUCKET, Key="faults/proxy", Body=body)


def got(client: boto3.client) -> bytes:
    return bytes(client.get_object(Bucket=BUCKET, Key="faults/proxy")["Body"].read())


def test_without_faults_it_is_not_noticed(make: Make) -> None:
    proxy, client = make({})
    put(client, b"x" * 300_000)
    assert got(client) == b"x" * 300_000
    assert not proxy.struck


@pytest.mark.parametrize("status", ["500", "503"])
def test_refusals(make: Make, status: str) -> None:
    proxy, client = make({status: 1.0})
    with pytest.raises(ClientError, match=status):
        put(client)
    assert proxy.struck == {status: 1}


@pytest.mark.parametrize("when", ["reset before", "reset after"])
def test_resets(make: Make, when: str) -> None:
    _, whole = make({})
    put(whole, b"before")
    proxy, client = make({when: 1.0})
    with pytest.raises(HTTPClientError):
        put(client, b"after")
    assert got(whole) == when.removeprefix("reset ").encode()
    assert proxy.struck == {when: 1}


def test_stalls(make: Make) -> None:
    proxy, client = make({"stall": 1.0})
    with pytest.raises(HTTPClientError, match=r"[Rr]ead timeout"):
        put(client)
    assert proxy.struck == {"stall": 1}


def test_one_bit_of_an_upload_flips_and_the_server_does_not_notice(make: Make) -> None:
    proxy, client = make({"flipped upload": 1.0})
    put(client)
    (flipped,) = [a ^ b for a, b in zip(got(client), b"what was meant", strict=True) if a != b]
    assert flipped.bit_count() == 1
    assert proxy.struck == {"flipped upload": 1}


def test_one_bit_of_a_download_flips_and_the_client_does_not_notice(make: Make) -> None:
    _, whole = make({})
    put(whole)
    proxy, client = make({"flipped download": 1.0})
    assert sum(a != b for a, b in zip(got(client), b"what was meant", strict=True)) == 1
    assert proxy.struck == {"flipped download": 1}
