"""A server of asyncio's in a thread of its own, for proxies that tests put between a client and its server."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import Counter
from types import TracebackType
from typing import Self


class ProxyThread(ABC):
    """A context manager; listens on a port of the loopback interface and counts in `struck` what it did to whom."""

    def __init__(self) -> None:
        self.struck: Counter[str] = Counter()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._leave = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join()

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until he or we have had enough."""

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._guarded, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._leave.wait()
        server.close()  # the runner cancels whoever is still being served

    async def _guarded(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.serve(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # one of the two sides is gone, or the test is over
        finally:
            cut(writer)


def cut(writer: asyncio.StreamWriter) -> None:
    """Close at once, whatever has not been sent."""
    writer.transport.abort()
