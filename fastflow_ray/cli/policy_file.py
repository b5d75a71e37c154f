"""What was learnt about skipping, in a file: read before a generation, updated after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastflow_ray.atomic_file import replacing
from fastflow_ray.errors import InvalidInput, StatisticsMismatch

if TYPE_CHECKING:
    from fastflow_ray.bandit.statistics import Statistics


def read_statistics(path: Path) -> Statistics:
    """The statistics in the file; raises InvalidInput if it cannot be read, StatisticsMismatch if it holds none."""
    from fastflow_ray.bandit.pages import VERSION
    from fastflow_ray.bandit.statistics import Statistics

    try:
        return Statistics.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"cannot read statistics from {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"cannot read statistics from {path}: it is no text") from None
    except StatisticsMismatch as mismatch:
        fault = mismatch.__cause__  # without the remedy, which is a fleet's
        raise StatisticsMismatch(
            f"{path} holds no statistics of version {VERSION}: {fault};"
            " name a file that this version's `generate --policy` wrote, or one that does not exist yet, to begin anew"
        ) from fault


def read_or_empty(path: Path) -> Statistics:
    """The statistics in the file, or empty ones if it does not exist yet; raises as `read_statistics`."""
    from fastflow_ray.bandit.statistics import Statistics

    return read_statistics(path) if path.exists() else Statistics()


def add_learnt(path: Path, delta: Statistics) -> None:
    """Add to what the file holds now, which another process may have updated since it was read."""
    merged = read_or_empty(path).merge(delta)
    with replacing(path) as sibling:
        sibling.write_text(merged.to_json(), encoding="utf-8")
