"""Several writers at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.folder import FolderStore

WRITERS = 16


def all_at_once(work: Callable[[int], object]) -> list[object]:
    """Run `work` for every writer, none before all of them are there."""
    start = threading.Barrier(WRITERS)

    def one(number: int) -> object:
        start.wait(timeout=20)
        return work(number)

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(one, range(WRITERS)))


def test_put_if_absent_has_exactly_one_winner(store: Store) -> None:
    for round_number in range(5):
        key = f"race/{round_number}"
        won = all_at_once(lambda number, key=key: store.put_if_absent(key, bytes([number]) * 1000, "text/plain"))
        assert won.count(True) == 1
        assert store.get_bytes(key) == bytes([won.index(True)]) * 1000


def test_readers_never_see_half_a_value(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    values = {bytes([number]) * 200_000 for number in range(WRITERS)}
    store.put_bytes("x", bytes(200_000), "text/plain")

    def write_then_read(number: int) -> set[bytes | None]:
        store.put_bytes("x", bytes([number]) * 200_000, "text/plain")
        return {store.get_bytes("x") for _ in range(20)}

    seen = set().union(*all_at_once(write_then_read))
    assert seen <= values


def test_a_folder_that_is_emptied_does_not_disturb_a_write(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    def write_and_delete(number: int) -> None:
        for _ in range(60):
            store.put_bytes(f"jobs/1/{number:02d}", b"x", "text/plain")
            store.delete_prefix(f"jobs/1/{number:02d}")

    all_at_once(write_and_delete)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_taken_away_under_a_writer_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Path.mkdir
    losses = iter([True, True])

    def make_and_lose(folder: Path, **options: Any) -> None:
        make(folder, **options)
        if next(losses, False):
            folder.rmdir()  # as another process would, between this line and the next

    monkeypatch.setattr(Path, "mkdir", make_and_lose)
    FolderStore(tmp_path).put_bytes("x/y", b"x", "text/plain")
    assert next(losses, "all struck") == "all struck"
    assert FolderStore(tmp_path).get_bytes("x/y") == b"x"
