"""A bad network between S3 and its clients, and a bad S3: refusals, resets, stalls and bodies with a flipped bit.

Reads each request whole, decides by its seed what befalls it, and closes the connection after each answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from proxy_thread import ProxyThread, cut

REFUSALS = {"403": "403 Forbidden", "500": "500 Internal Server Error", "503": "503 Slow Down"}
CHECKSUMS = ("content-md5", "x-amz-checksum-", "x-amz-sdk-checksum-", "etag")
LIMIT = 2**20  # bytes of a head


@dataclass
class Message:
    """A request or an answer."""

    first: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str:
        """Its value, or nothing."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def without(self, *prefixes: str) -> Message:
        """Without these headers."""
        left = [(key, value) for key, value in self.headers if not key.lower().startswith(prefixes)]
        return Message(self.first, left, self.body)

    def to_bytes(self) -> bytes:
        """As it travels."""
        lines = [self.first, *(f"{key}: {value}" for key, value in self.headers)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


class HttpProxy(ProxyThread):
    """`faults` are probabilities, one is drawn per request: 403, 500, 503, reset before, reset after, stall, flipped
    upload, flipped download. Flipped bodies travel without the checksums that would give them away."""

    def __init__(self, target_port: int, seed: int, faults: Mapping[str, float], stall_s: float = 60.0) -> None:
        super().__init__()
        self._target_port = target_port
        self._rng = Random(seed)
        self.faults = dict(faults)
        self._stall_s = stall_s

    @property
    def endpoint(self) -> str:
        """Of the S3 behind it."""
        return f"http://localhost:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        request = await self._request(reader, writer)
        fault = self._draw(request)
        if fault == "reset before":
            return cut(writer)
        if fault == "stall":
            await asyncio.sleep(self._stall_s)
        if status := REFUSALS.get(fault):
            answer = Message(f"HTTP/1.1 {status}", [("content-length", "0")])
        else:
            answer = await self._forward(self._flipped(request) if fault == "flipped upload" else request)
        if fault == "reset after":
            return cut(writer)
        answer.headers.append(("connection", "close"))  # or the client would send its next request into nowhere
        writer.write((self._flipped(answer) if fault == "flipped download" else answer).to_bytes())
        await writer.drain()
        writer.close()
        return await writer.wait_closed()

    def _draw(self, request: Message) -> str:
        drawn = self._rng.choices([*self.faults, ""], [*self.faults.values(), 1 - sum(self.faults.values())])[0]
        method = request.first.partition(" ")[0]
        if (drawn == "flipped upload" and not request.body) or (drawn == "flipped download" and method != "GET"):
            return ""
        if drawn:
            self.struck[drawn] += 1
        return drawn

    def _flipped(self, message: Message) -> Message:
        spoilt = message.without(*CHECKSUMS)
        if spoilt.body:
            body = bytearray(spoilt.body)
            body[self._rng.randrange(len(body))] ^= 1 << self._rng.randrange(7)
            spoilt.body = bytes(body)
        return spoilt

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Message:
        head = await _head(reader)
        if head.header("expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        head.body = await reader.readexactly(int(head.header("content-length") or 0))
        return head.without("expect", "connection")

    async def _forward(self, request: Message) -> Message:
        there, onward = await asyncio.open_connection("127.0.0.1", self._target_port, limit=LIMIT)
        try:
            request.headers.append(("connection", "close"))
            onward.write(request.to_bytes())
            answer = await _head(there)
            answer.body = await there.read()
            return answer.without("connection")
        finally:
            onward.close()


async def _head(reader: asyncio.StreamReader) -> Message:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    return Message(first, [(key, value.strip()) for key, _, value in (line.partition(":") for line in lines)])
