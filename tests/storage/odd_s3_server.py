"""A small S3 server with the faults of real ones: it ignores conditions, loses answers, flips bits, refuses, hurries.

It speaks just enough S3 for the store, over real HTTP, and checks no signatures.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

KEYS_PER_PAGE = 2


@dataclass
class OddS3:
    """The server's contents and its faults; tests set the faults."""

    endpoint: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    refuse_all: tuple[int, str] | None = None  # (status, code) for every request
    refuse_next: list[tuple[int, str]] = field(default_factory=list)  # one per request, then it behaves
    conditions: str = "ignored"  # or "honoured", or "unknown": answered with 501
    flips_a_bit: bool = False  # in every object it is given
    loses_answers_to: str = ""  # it does what the first PUT to such a key asks, and hangs up

    def refusal(self, conditional: bool, exists: bool) -> tuple[int, str] | None:
        """What to answer instead of doing the work."""
        if self.refuse_next:
            return self.refuse_next.pop(0)
        if conditional and self.conditions == "unknown":
            return 501, "NotImplemented"
        if conditional and self.conditions == "honoured" and exists:
            return 412, "PreconditionFailed"
        return self.refuse_all


@contextmanager
def odd_s3_server() -> Iterator[OddS3]:
    """An OddS3 listening on a free port of the loopback."""
    odd = OddS3()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"odd": odd}))
    server.daemon_threads = True
    odd.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield odd
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    odd: OddS3

    def handle_request_of_any_kind(self) -> None:
        url = urlsplit(self.path)
        key = unquote(url.path).lstrip("/").partition("/")[2]
        query = parse_qs(url.query, keep_blank_values=True)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        refusal = self.odd.refusal(self.headers.get("If-None-Match") == "*", key in self.odd.objects)
        if refusal:
            status, code = refusal
            self.answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>")
        elif not key:
            self.answer_about_the_bucket(query, body)
        elif self.command == "PUT":
            self.put(key, body)
        elif key in self.odd.objects:
            self.answer(200, self.odd.objects[key])
        else:
            self.answer(404, "<Error><Code>NoSuchKey</Code></Error>")

    do_GET = do_HEAD = do_PUT = do_POST = handle_request_of_any_kind

    def put(self, key: str, body: bytes) -> None:
        flipped = bytes([body[0] ^ 1]) + body[1:] if self.odd.flips_a_bit else body
        self.odd.objects[key] = flipped
        if self.odd.loses_answers_to and key.endswith(self.odd.loses_answers_to):
            self.odd.loses_answers_to = ""
            self.close_connection = True
        else:
            self.answer(200, "")

    def answer_about_the_bucket(self, query: dict[str, list[str]], body: bytes) -> None:
        if "delete" in query:
            for key in re.findall(r"<Key>(.*?)</Key>", body.decode()):
                self.odd.objects.pop(key, None)
            self.answer(200, "<DeleteResult/>")
        elif "uploads" in query:
            self.answer(501, "<Error><Code>NotImplemented</Code></Error>")
        else:
            self.answer(200, self.one_page(query["prefix"][0], query.get("continuation-token", [""])[0]))

    def one_page(self, prefix: str, after: str) -> str:
        keys = sorted(key for key in self.odd.objects if key.startswith(prefix) and key > after)
        page, rest = keys[:KEYS_PER_PAGE], keys[KEYS_PER_PAGE:]
        more = (
            f"<IsTruncated>true</IsTruncated><NextContinuationToken>{page[-1]}</NextContinuationToken>" if rest else ""
        )
        found = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in page)
        return f"<ListBucketResult>{more}{found}</ListBucketResult>"

    def answer(self, status: int, body: str | bytes) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing on the terminal."""
