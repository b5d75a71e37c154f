"""TLS in front of a server that has none of its own."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from socketserver import BaseRequestHandler


class TlsForwarder(BaseRequestHandler):
    """Takes TLS off one connection, for a server that has none of its own."""

    port: int  # of that server
    context: ssl.SSLContext

    def handle(self) -> None:
        try:
            outside = self.context.wrap_socket(self.request, server_side=True)
        except ssl.SSLError:  # a client that does not trust us
            return
        with outside, socket.create_connection(("127.0.0.1", self.port)) as inside:
            back = threading.Thread(target=pump, args=(inside, outside))
            back.start()
            pump(outside, inside)
            back.join()


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
