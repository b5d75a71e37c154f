"""Everything learnt about skipping, by policy key: what a worker decides from, reports, and receives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from functools import reduce
from typing import Any, NoReturn, Protocol, Self, TypeVar

from fastflow_ray.bandit.arm_table import ArmRow, ArmTable
from fastflow_ray.bandit.pages import VERSION, Pages
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.counted import counted
from fastflow_ray.errors import StatisticsMismatch


class Statistics:
    """Two tables per policy key: of its arms, which FastFlow's bandits pull, and of its trajectories, which plans are
    drawn up from. Merging is addition: commutative, associative, empty statistics change nothing."""

    def __init__(
        self,
        tables: Mapping[str, ArmTable] | None = None,
        trajectories: Mapping[str, TrajectoryTable] | None = None,
    ) -> None:
        self.tables: dict[str, ArmTable] = dict(tables or {})
        self.trajectories: dict[str, TrajectoryTable] = dict(trajectories or {})

    def __bool__(self) -> bool:
        """Whether there is any table."""
        return bool(self.tables or self.trajectories)

    @property
    def keys(self) -> list[str]:
        """Of all tables, sorted."""
        return sorted(self.tables.keys() | self.trajectories.keys())

    def table(self, key: str, *, steps: int, arms: Sequence[int], grid: str) -> ArmTable:
        """The arms under `key`, made empty if there are none; raises StatisticsMismatch if they are of another kind."""
        table = self.tables.setdefault(key, ArmTable.empty(steps, arms, grid))
        table.check(key, steps, arms, grid)
        return table

    def trajectory(self, key: str, *, steps: int, grid: str) -> TrajectoryTable:
        """The trajectories under `key`, made empty if there are none; raises StatisticsMismatch as `table`."""
        table = self.trajectories.setdefault(key, TrajectoryTable.empty(steps, grid))
        table.check(key, steps, grid)
        return table

    def release(self, key: str) -> None:
        """Leave the key to any grid where nothing was learnt under it, as by a first generation that failed."""
        if key in self.tables and not self.tables[key].pulls.any():
            del self.tables[key]
        if key in self.trajectories and not self.trajectories[key].runs:
            del self.trajectories[key]

    def merge(self, other: Statistics) -> Statistics:
        """The sum of both, as new statistics that share no array with either."""
        return Statistics(_sum(self.tables, other.tables), _sum(self.trajectories, other.trajectories))

    def plus(self, other: Statistics) -> Statistics:
        """The same sum at the price of what `other` has: all tables under other keys are shared with it."""
        return self._updated(self.of(*other.keys).merge(other))

    def owning(self, key: str) -> Statistics:
        """The same, but its tables under this key are shared with nobody."""
        return self._updated(Statistics().merge(self.of(key)))

    def of(self, *keys: str) -> Statistics:
        """What is known under these keys; shares their tables."""
        return Statistics(_those(keys, self.tables), _those(keys, self.trajectories))

    def runs(self, key: str) -> int:
        """How many finished generations taught this key."""
        known: list[ArmTable | TrajectoryTable] = [*self.of(key).tables.values(), *self.of(key).trajectories.values()]
        return sum(table.runs for table in known)

    def describe(self, key: str) -> list[ArmRow]:
        """The arms that were pulled under `key`, by step and arm; none for an unknown key."""
        return self.tables[key].rows() if key in self.tables else []

    def pages(self) -> Pages:
        """As the JSON texts of its tables."""
        return Pages.of(self.tables, self.trajectories)

    def to_json(self) -> str:
        """Versioned JSON, as `Pages.to_json`."""
        return self.pages().to_json()

    @classmethod
    def from_json(cls, text: str) -> Statistics:
        """What `to_json` wrote, bit for bit; raises StatisticsMismatch on any other version or on damaged values."""
        try:
            document = json.loads(text, parse_constant=_refuse_constant)
            _check_version(document)
            arms = _read(document, "arms", ArmTable.from_dict)
            return cls(arms, _read(document, "trajectories", TrajectoryTable.from_dict))
        except ValueError as fault:  # JSON's own error is one too
            raise StatisticsMismatch(
                f"these are not statistics of version {VERSION}: {fault};"
                " begin with a new file, and run one version in the whole fleet"
            ) from fault

    @classmethod
    def sum_of(cls, texts: Iterable[str]) -> Statistics:
        """Of documents that `to_json` wrote, such as those a store keeps key by key; raises as `from_json`."""
        return reduce(cls.plus, map(cls.from_json, texts), cls())

    def _updated(self, newer: Statistics) -> Statistics:
        return Statistics(self.tables | newer.tables, self.trajectories | newer.trajectories)

    def __repr__(self) -> str:
        runs = (f"{key!r}: {counted(self.runs(key), 'run')}" for key in self.keys)
        return f"Statistics({', '.join(runs)})"


class _Table(Protocol):
    def merge(self, other: Self, key: str) -> Self: ...


Table = TypeVar("Table", bound=_Table)


def _sum(ours: Mapping[str, Table], theirs: Mapping[str, Table]) -> dict[str, Table]:
    merged = deepcopy(dict(ours))
    for key, table in theirs.items():
        merged[key] = merged[key].merge(table, key) if key in merged else deepcopy(table)
    return merged


def _those(keys: Sequence[str], tables: Mapping[str, Table]) -> dict[str, Table]:
    return {key: tables[key] for key in keys if key in tables}


def _check_version(document: Any) -> None:
    version = document.get("version") if isinstance(document, dict) else None
    if version != VERSION:
        raise ValueError("they have no version" if version is None else f"they are of version {version!r}")


def _read(document: dict[str, Any], kind: str, read_table: Callable[[Any], Table]) -> dict[str, Table]:
    if not isinstance(document.get(kind), dict):
        raise ValueError(f"`{kind}` is missing")
    return {key: read_table(fields) for key, fields in document[kind].items()}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
