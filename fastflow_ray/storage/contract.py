"""What a store can do. Keys are relative paths with `/`; values are bytes. Every method may raise StorageFailed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """A folder or a bucket."""

    url: str  # file:///… or s3://bucket/prefix
    conditional: bool  # whether put_if_absent is atomic here (probed by `check`)

    def check(self) -> None:
        """Prove at start-up that we can write, read back and delete; probe conditional writes."""

    def put_file(self, key: str, path: Path, content_type: str, on_progress: Callable[[], None] = lambda: None) -> None:
        """Write a file whole, or not at all. `on_progress` hears of every MiB, or less, that went; it may be called
        from other threads, from several at once, and may raise to end it."""

    def put_bytes(self, key: str, data: bytes, content_type: str) -> None:
        """Write bytes whole, or not at all."""

    def put_if_absent(self, key: str, data: bytes, content_type: str) -> bool:
        """Write unless the key exists; False: it existed and is untouched."""

    def get_bytes(self, key: str, on_progress: Callable[[], None] = lambda: None) -> bytes | None:
        """The value, or None if there is none; `on_progress` hears of every MiB that came, and may raise to end it."""

    def size(self, key: str) -> int | None:
        """Bytes stored under the key, or None."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with the prefix."""

    def delete_prefix(self, prefix: str, spared: Callable[[str], bool] = lambda key: False) -> int:
        """Delete every key that starts with the prefix and is not `spared`, and what dead writers left unfinished
        there; how many keys."""

    def link(self, key: str, expires_s: int = 3600) -> str:
        """A URL a client can fetch: presigned http(s) for S3, file:// for a folder."""

    def close(self) -> None:
        """Let the connections go, if there are any; the next call opens them again."""
