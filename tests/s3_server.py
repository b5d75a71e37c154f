"""A real S3 server of the suite's own, in a process of its own on loopback, and boto3's settings that lead to it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import boto3
from waiting import wait_for

BUCKET = "films"


@contextmanager
def s3_server(home: Path) -> Iterator[str]:
    """The endpoint of a ministack server that serves only S3, keeps nothing on the disk and has one empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "SERVICES": "s3",
        "S3_PERSIST": "0",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{home}/no-docker.sock",
        "TMPDIR": str(home),
        "LOG_LEVEL": "WARNING",
        "AWS_SECRET_ACCESS_KEY": "test",  # what presigned links are checked against
    }
    with (home / "log").open("wb") as log:
        command = [sys.executable, "-m", "ministack"]
        server = subprocess.Popen(command, env={**os.environ, **settings}, cwd=home, stdout=log, stderr=log)
    try:
        # By name, not by number: for an address boto3 would put the bucket into the path anyway.
        endpoint = f"http://localhost:{port}"
        _wait_until_it_answers(f"http://127.0.0.1:{port}/", server, home / "log")
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        with closing(boto3.session.Session(**keys).client("s3", endpoint_url=endpoint)) as client:
            client.create_bucket(Bucket=BUCKET)
        yield endpoint
    finally:
        server.terminate()
        server.wait(timeout=20)


def boto3_settings(endpoint: str) -> dict[str, str]:
    """Variables that lead to this server and to nothing else on anybody's machine."""
    return {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_S3": endpoint,
    }


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    wait_for(lambda: _answers(url) or server.poll() is not None)
    assert server.poll() is None, f"ministack did not start:\n{log.read_text()}"


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except urllib.error.HTTPError as answer:
        answer.close()
    except OSError:
        return False
    return True
