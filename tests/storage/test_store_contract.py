"""What every store promises; the same tests for a folder, a real S3 server and an odd one."""

from __future__ import annotations

import itertools
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from leaks import ClosedAfter

from fastflow_ray.errors import InvalidInput, LeaseLost, StorageFailed
from fastflow_ray.storage import open_store
from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.parts import PART_BYTES

BIG = bytes(range(256)) * 4 * 1024 * 9  # 9 MiB: an S3 client uploads it in two parts
BAD_KEYS = [
    "",
    "/etc/passwd",
    "../x",
    "a/../../x",
    "a/./b",
    "a//b",
    "a/",
    "nul\0",
    "a\\b",
    ".hidden",
    "x" * 201,
    "é/" * 999,
]


@pytest.fixture(params=["folder", "s3", "odd"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path, closed_after: ClosedAfter) -> Store:
    if request.param == "folder":
        return open_store((tmp_path / "store").as_uri())
    if request.param == "s3":
        return closed_after(open_store(request.getfixturevalue("s3_url")))
    request.getfixturevalue("odd")
    return closed_after(open_store("s3://films"))


def put(store: Store, *keys: str) -> None:
    for key in keys:
        store.put_bytes(key, key.encode(), "text/plain")


def test_check_passes_and_leaves_nothing(any_store: Store) -> None:
    any_store.check()
    assert list(any_store.list("")) == []


def test_what_is_written_is_read(any_store: Store) -> None:
    any_store.put_bytes("jobs/1/x.json", b"{}", "application/json")
    assert any_store.get_bytes("jobs/1/x.json") == b"{}"
    assert any_store.size("jobs/1/x.json") == 2


def test_a_closed_store_opens_again_with_the_next_call(any_store: Store) -> None:
    any_store.close()
    put(any_store, "x")
    any_store.close()
    any_store.close()
    assert any_store.get_bytes("x") == b"x"


def test_a_second_write_replaces_the_first(any_store: Store) -> None:
    any_store.put_bytes("x", b"long before", "text/plain")
    any_store.put_bytes("x", b"", "text/plain")
    assert any_store.get_bytes("x") == b""
    assert any_store.size("x") == 0


def test_what_was_never_written_is_none(any_store: Store) -> None:
    put(any_store, "jobs/1/x")
    for key in ("y", "jobs", "jobs/1", "jobs/1/x/y", "jobs/2/x"):
        assert any_store.get_bytes(key) is None
        assert any_store.size(key) is None


def test_a_file_arrives_whole(store: Store, tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(BIG)
    store.put_file("jobs/1/video.mp4", video, "video/mp4")
    assert store.size("jobs/1/video.mp4") == len(BIG)
    assert store.get_bytes("jobs/1/video.mp4") == BIG


def test_a_long_way_gives_signs_of_life(store: Store, tmp_path: Path) -> None:
    video, parts = tmp_path / "video.mp4", len(BIG) / PART_BYTES
    video.write_bytes(BIG)
    sent: list[int] = []
    store.put_file("jobs/1/video.mp4", video, "video/mp4", lambda: sent.append(1))
    assert len(sent) >= parts
    read: list[int] = []
    assert store.get_bytes("jobs/1/video.mp4", lambda: read.append(1)) == BIG
    assert len(read) >= parts


def test_whoever_hears_of_the_way_may_end_it(store: Store, tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(BIG)
    with pytest.raises(LeaseLost, match="taken"):
        store.put_file("jobs/1/video.mp4", video, "video/mp4", _lose)
    assert store.get_bytes("jobs/1/video.mp4") is None
    assert store.delete_prefix("jobs/1/") == 0
    store.put_file("jobs/1/video.mp4", video, "video/mp4")
    with pytest.raises(LeaseLost, match="taken"):
        store.get_bytes("jobs/1/video.mp4", _lose)


def _lose() -> None:
    raise LeaseLost("the job was taken")


def test_a_local_file_that_is_gone_is_named(any_store: Store, tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="No such file"):
        any_store.put_file("x", tmp_path / "gone.mp4", "video/mp4")
    assert any_store.get_bytes("x") is None


def test_put_if_absent_writes_once(any_store: Store) -> None:
    any_store.check()
    assert any_store.put_if_absent("x", b"first", "text/plain")
    assert not any_store.put_if_absent("x", b"second", "text/plain")
    assert any_store.get_bytes("x") == b"first"


def test_list_goes_by_prefix_in_order(any_store: Store) -> None:
    put(any_store, "jobs/b/1", "jobs/a/2/z", "jobs/ab/1", "jobs/a/1", "other")
    assert list(any_store.list("jobs/a")) == ["jobs/a/1", "jobs/a/2/z", "jobs/ab/1"]
    assert list(any_store.list("jobs/a/")) == ["jobs/a/1", "jobs/a/2/z"]
    assert list(any_store.list("")) == ["jobs/a/1", "jobs/a/2/z", "jobs/ab/1", "jobs/b/1", "other"]
    assert list(any_store.list("nothing/")) == []


def test_delete_prefix_spares_the_neighbours(any_store: Store) -> None:
    put(any_store, "jobs/1/a", "jobs/1/b", "jobs/1/c/d", "jobs/10/a")
    assert any_store.delete_prefix("jobs/1/") == 3
    assert any_store.delete_prefix("jobs/1/") == 0
    assert list(any_store.list("")) == ["jobs/10/a"]


def test_delete_prefix_spares_what_it_is_told_to(any_store: Store) -> None:
    put(any_store, "jobs/1/a", "jobs/1/b", "jobs/1/c/d")
    assert any_store.delete_prefix("jobs/1/", lambda key: key in ("jobs/1/b", "jobs/1/c/d")) == 1
    assert list(any_store.list("")) == ["jobs/1/b", "jobs/1/c/d"]


def test_the_whole_store_is_never_deleted(any_store: Store) -> None:
    put(any_store, "x")
    with pytest.raises(InvalidInput, match="whole store"):
        any_store.delete_prefix("")
    assert any_store.get_bytes("x") == b"x"


def test_no_key_leaves_the_root(store: Store) -> None:
    operations: list[Callable[[str], object]] = [
        lambda key: store.put_bytes(key, b"", "text/plain"),
        lambda key: store.put_if_absent(key, b"", "text/plain"),
        lambda key: store.put_file(key, Path(__file__), "text/plain"),
        store.get_bytes,
        store.size,
        store.link,
    ]
    for key, operation in itertools.product(BAD_KEYS, operations):
        with pytest.raises(InvalidInput, match="is not a key"):
            operation(key)
    assert list(store.list("")) == []


def test_no_prefix_leaves_the_root(store: Store) -> None:
    for prefix, operation in itertools.product(["../", "/", "a/..", "a//"], [store.list, store.delete_prefix]):
        with pytest.raises(InvalidInput, match="is not a key"):
            operation(prefix)


def test_a_link_can_be_fetched(any_store: Store) -> None:
    any_store.put_bytes("jobs/1/a b+é.txt", b"here", "text/plain")
    with urllib.request.urlopen(any_store.link("jobs/1/a b+é.txt"), timeout=10) as answer:
        assert answer.read() == b"here"
