"""The embedded Valkey of a local fleet, started again whenever it dies, on the same folder and the same port."""

from __future__ import annotations

import logging
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.queue.embedded import EmbeddedValkey

log = logging.getLogger(__name__)

LOOK_S = 0.5  # well below the seconds for which clients try to reach a lost server again
FSYNC: Final = "always"  # under "everysec" a killed server can forget the last two seconds it acknowledged


class KeptValkey:
    """A context manager; within it the server is there, but for the moments a restart takes."""

    def __init__(self, directory: Path) -> None:
        self._server = EmbeddedValkey(directory, fsync=FSYNC)
        self._leaving = threading.Event()
        self._watch = threading.Thread(target=self._keep, name="valkey", daemon=True)

    @property
    def url(self) -> str:
        """Where clients find it, after a restart too."""
        return self._server.url

    def __enter__(self) -> Self:
        self._server.start()
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._watch.join()  # a server this thread started leaves with it, in good order
        self._server.stop()

    def _keep(self) -> None:
        while not self._leaving.wait(LOOK_S):
            try:
                if not _listens(self._server.port):
                    self._restart()
            except Exception as error:  # a thread that ended here would leave a server that dies dead
                log.warning("! no look at Valkey on %s: %s", self._server.directory, error, exc_info=True)

    def _restart(self) -> None:
        log.warning("! Valkey on %s died; it is started again", self._server.directory)
        self._server.stop()
        self._server = EmbeddedValkey(self._server.directory, self._server.port, FSYNC)
        try:
            self._server.start()
        except QueueUnavailable as trouble:
            log.error("! %s", trouble)  # the next look finds it missing again


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LOOK_S).close()
    except ConnectionRefusedError:
        return False
    except TimeoutError:
        pass  # it is there, and busy
    return True
