"""From a URL to a store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fastflow_ray.errors import InvalidInput
from fastflow_ray.storage import open_store

LIGHT = """
import sys
import fastflow_ray.storage, fastflow_ray.storage.publication
print(sorted({"torch", "ray", "av", "diffusers", "numpy", "boto3"} & set(sys.modules)))
"""


def test_a_folder_with_odd_letters(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20+é"
    store = open_store(folder.as_uri())
    store.put_bytes("x", b"x", "text/plain")
    assert (folder / "x").read_bytes() == b"x"
    assert store.url == folder.as_uri()


def test_opening_a_folder_touches_nothing(tmp_path: Path) -> None:
    open_store((tmp_path / "later").as_uri())
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_with_and_without_a_prefix() -> None:
    assert open_store("s3://films").url == "s3://films"
    assert open_store("s3://films/a/b/").url == "s3://films/a/b"


@pytest.mark.parametrize(
    "url", ["", "/tmp/x", "http://host/x", "gs://bucket/x", "file://relative/x", "file://", "s3://"]
)
def test_other_urls_are_refused_with_an_example(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"use file:///absolute/folder or s3://bucket/prefix"):
        open_store(url)


def test_a_prefix_stays_in_the_bucket() -> None:
    with pytest.raises(InvalidInput):
        open_store("s3://films/../other")


@pytest.mark.parametrize("url", ["s3://films/a?versionId=1", "file:///tmp/x#y"])
def test_a_url_with_more_than_a_place_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="only a place"):
        open_store(url)


def test_keys_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput, match="AWS_SECRET_ACCESS_KEY") as refusal:
        open_store("s3://AKIA123:verysecret@films/a")
    assert "verysecret" not in str(refusal.value)


def test_a_client_needs_nothing_heavy() -> None:
    said = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "[]"
