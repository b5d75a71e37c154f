"""Checkpoints in a store: the newest attempt's is kept, and a job's are found and deleted together."""

from __future__ import annotations

from contextlib import closing

import pytest

from fastflow_ray.errors import InvalidInput
from fastflow_ray.storage.checkpoints import CheckpointRoom
from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.s3 import S3Store


def test_only_the_newest_attempts_is_kept(store: Store) -> None:
    room = CheckpointRoom(store, "shapes")
    assert list(room.newest_first("a")) == []
    room.put("a", 9, b"ninth")
    room.put("a", 9, b"ninth again")
    assert list(room.newest_first("a")) == [b"ninth again"]
    room.put("a", 10, b"tenth")
    assert list(room.newest_first("a")) == [b"tenth"]


def test_a_worker_that_lost_its_job_puts_nothing_in_the_place_of_a_newer_one(store: Store) -> None:
    room = CheckpointRoom(store, "shapes")
    room.put("a", 10, b"tenth")
    room.put("a", 9, b"late")
    assert list(room.newest_first("a")) == [b"tenth", b"late"]


def test_jobs_and_models_are_kept_apart(store: Store) -> None:
    shapes, wan = CheckpointRoom(store, "shapes"), CheckpointRoom(store, "wan2.1-t2v-1.3b")
    shapes.put("a", 1, b"a")
    shapes.put("ab", 1, b"ab")
    wan.put("a", 1, b"wan's")
    assert shapes.job_ids() == {"a", "ab"}
    assert shapes.delete("a") == 1
    assert shapes.delete("a") == 0
    assert shapes.job_ids() == {"ab"}
    assert list(wan.newest_first("a")) == [b"wan's"]


def test_what_is_no_jobs_is_nobodys(store: Store) -> None:
    room = CheckpointRoom(store, "shapes")
    room.put("a", 1, b"a")
    for stray in ("read me.txt", "7.safetensors"):
        store.put_bytes(f"checkpoints/shapes/{stray}", b"", "text/plain")
    assert room.job_ids() == {"a"}


def test_the_mark_of_a_folder_in_a_bucket_is_nobodys(s3_url: str) -> None:
    """An empty object whose name ends in a slash, as consoles of S3 make it."""
    with closing(S3Store(*s3_url.removeprefix("s3://").split("/"))) as store:
        store._client.put_object(Bucket=store.bucket, Key=f"{store.prefix}checkpoints/shapes/")
        assert CheckpointRoom(store, "shapes").job_ids() == set()


@pytest.mark.parametrize("job_id", ["", ".", "../results", "a/b", "jobs/a"])
def test_what_is_no_job_id_names_no_place(store: Store, job_id: str) -> None:
    room = CheckpointRoom(store, "shapes")
    for act in (lambda: room.put(job_id, 1, b""), lambda: list(room.newest_first(job_id)), lambda: room.delete(job_id)):
        with pytest.raises(InvalidInput):
            act()
