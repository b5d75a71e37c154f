"""What was measured, kept as it comes: one JSON line per (regime, method, setting, prompt). Imports no torch.

A line is written whole and flushed, so that whatever ends the process loses the measurement under way at most; a torn
last line is ignored and cut off. Lines of other weights or other versions stay in the file and are not read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fastflow_ray.bench.facts import Stamp
from fastflow_ray.bench.regime import Regime
from fastflow_ray.errors import FastFlowError

FULL = "full"  # the method of the full runs
Key = tuple[Regime, str, int, str, str, int]


@dataclass(frozen=True)
class Measurement:
    """One video by one setting of one method, against the full run of the same seed."""

    regime: Regime
    method: str
    learning: int  # generations it had learnt from
    setting: str
    prompt: str
    seed: int
    evaluations: float  # the work of the video, in evaluated steps of the full run
    wall_s: float  # from the first call of the network to the end of the last step
    cpu_s: float  # of the process, all threads, over the same time
    psnr_db: float  # of decoded frames
    ssim: float
    latent_psnr_db: float
    learning_evaluations: float  # spent before, once per regime and setting

    @property
    def key(self) -> Key:
        """What it is a measurement of."""
        return (self.regime, self.method, self.learning, self.setting, self.prompt, self.seed)

    @property
    def idle(self) -> bool:
        """Whether the setting left the network all its work."""
        return self.evaluations >= 0.995 * self.regime.steps


class Ledger:
    """The measurements of one stamp in a file that only grows."""

    def __init__(self, path: Path, stamp: Stamp) -> None:
        """`stamp` names what the figures are of; raises FastFlowError if the file cannot be read or written."""
        self._path = path
        self._stamp = stamp
        self._known = {measurement.key: measurement for measurement in self._read()}

    def get(self, key: Key) -> Measurement | None:
        """The measurement, if it was made."""
        return self._known.get(key)

    def add(self, measurement: Measurement) -> None:
        """Keep it, now."""
        line = json.dumps(
            {"stamp": self._stamp.of(measurement.method)} | asdict(measurement), ensure_ascii=False, allow_nan=False
        )
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as refused:
            raise FastFlowError(f"cannot write {self._path}: {refused.strerror or refused}") from refused
        self._known[measurement.key] = measurement

    def _read(self) -> Iterator[Measurement]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            whole = self._path.read_bytes() if self._path.exists() else b""
            lines, _, torn = whole.rpartition(b"\n")
            if torn:
                with self._path.open("rb+") as file:
                    file.truncate(len(whole) - len(torn))
        except OSError as refused:
            raise FastFlowError(f"cannot keep measurements in {self._path}: {refused.strerror or refused}") from refused
        yield from parse(lines.decode("utf-8", errors="replace").split("\n"), self._stamp)


def parse(lines: Iterable[str], stamp: Stamp) -> Iterator[Measurement]:
    """The measurements of this stamp; damaged lines are passed over, as they only cost measuring again."""
    names = {field.name for field in fields(Measurement)}
    for line in lines:
        try:
            values: dict[str, Any] = json.loads(line)
            if values.pop("stamp") == stamp.of(values["method"]) and set(values) == names:
                yield Measurement(**values | {"regime": Regime(**values["regime"])})
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
