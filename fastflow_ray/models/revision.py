"""What the weights of a checkpoint are, in twelve letters: the same content has the same revision wherever it lies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

WHOLE_BYTES = 64 * 2**20  # files up to this size are read whole
SAMPLES = 64  # of larger files: so many pieces, evenly spaced from the first byte to the last
SAMPLE_BYTES = 64 * 2**10


def weights_revision(folder: Path) -> str:
    """The first 12 hex digits of a SHA-256 over the files of a pipeline in diffusers' folder format.

    Large files are sampled: training changes all weights a little, so no fine-tune passes for its parent, and a
    28 GB checkpoint is told in less than a second. Raises OSError or ValueError if it is no such folder.
    """
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        for piece in _pieces(path):
            digest.update(piece)
    return digest.hexdigest()[:12]


def _files(folder: Path) -> list[Path]:
    """The index and what is in the components' folders; a licence or a report beside them changes no video."""
    index = folder / "model_index.json"
    components = [name for name, kind in json.loads(index.read_text()).items() if isinstance(kind, list) and kind[0]]
    return [index, *sorted(path for name in components for path in (folder / name).rglob("*") if path.is_file())]


def _pieces(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    if size <= WHOLE_BYTES:
        yield path.read_bytes()
        return
    with path.open("rb") as file:
        for i in range(SAMPLES):
            file.seek(i * (size - SAMPLE_BYTES) // (SAMPLES - 1))
            yield file.read(SAMPLE_BYTES)
