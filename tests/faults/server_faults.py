"""What befalls a server: SIGKILL and a start on the same folder, a power cut that takes the end of its log, a clock."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from fastflow_ray.queue.embedded import EmbeddedValkey


def kill_and_start(server: EmbeddedValkey) -> None:
    """It comes back at its address with what its log holds."""
    kill(server)
    server.start()


def kill(server: EmbeddedValkey) -> None:
    """SIGKILL."""
    os.kill(server.pid, signal.SIGKILL)
    server.stop()


def copy_log(server: EmbeddedValkey, to: Path) -> None:
    """What a disk holds at this moment."""
    shutil.copytree(server.directory / "appendonlydir", to)


def cut_power(server: EmbeddedValkey, copy: Path) -> None:
    """The server dies, and the disk holds what it held when the copy was made."""
    kill(server)
    shutil.rmtree(server.directory / "appendonlydir")
    shutil.copytree(copy, server.directory / "appendonlydir")
    server.start()
