"""A bad network between Redis and its clients: slow, silent, or cut off in the worst moment.

A connection can be cut when the server has done what it was asked and before the client hears of it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import closing
from random import Random

from proxy_thread import ProxyThread, cut

CHUNK = 2**16
RST = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


class TcpProxy(ProxyThread):
    """Its faults are fields that a test may set at any time."""

    def __init__(self, target_port: int, seed: int) -> None:
        super().__init__()
        self.target_port = target_port  # may change: new connections go to the new one
        self.latency_s = 0.0  # of every answer
        self.lost_answers = 0.0  # probability that an answer is lost with its connection
        self.black_hole = False  # nothing passes, and nobody is told
        self.half_open = (
            False  # what the server answers, now and later, never arrives, on a connection that looks alive
        )
        self._rng = Random(seed)

    @property
    def url(self) -> str:
        """Of the Redis behind it."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until one of the two sides is gone."""
        there, onward = await asyncio.open_connection("127.0.0.1", self.target_port)
        with closing(onward):
            ways = [asyncio.create_task(self._ask(reader, onward)), asyncio.create_task(self._answer(there, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)

    async def _ask(self, reader: asyncio.StreamReader, onward: asyncio.StreamWriter) -> None:
        while request := await reader.read(CHUNK):
            await self._pass_the_hole()
            onward.write(request)
            await onward.drain()

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answer := await there.read(CHUNK):
            if self._rng.random() < self.lost_answers:
                self.struck["lost answers"] += 1
                reset(writer)
                return
            if self.half_open:
                self.struck["half open"] += 1
                await asyncio.Event().wait()
            await self._delay()
            await self._pass_the_hole()
            writer.write(answer)
            await writer.drain()

    async def _delay(self) -> None:
        if self.latency_s:
            self.struck["delays"] += 1
            await asyncio.sleep(self.latency_s)

    async def _pass_the_hole(self) -> None:
        if self.black_hole:
            self.struck["swallowed"] += 1
        while self.black_hole:
            await asyncio.sleep(0.02)


def reset(writer: asyncio.StreamWriter) -> None:
    """End with an RST instead of a goodbye."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
    cut(writer)
