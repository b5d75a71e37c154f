"""Everything learnt about skipping, by policy key: what a worker decides from, reports, and receives."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import reduce
from typing import Any, NoReturn

from fastflow_ray.bandit.arm_table import ArmRow, ArmTable
from fastflow_ray.errors import StatisticsMismatch

VERSION = 1


class ArmStatistics:
    """A table per policy key. Merging is addition: commutative, associative, empty statistics change nothing."""

    def __init__(self, tables: Mapping[str, ArmTable] | None = None) -> None:
        self.tables: dict[str, ArmTable] = dict(tables or {})

    def table(self, key: str, *, steps: int, arms: Sequence[int], grid: str) -> ArmTable:
        """The table under `key`, made empty if there is none; raises StatisticsMismatch if it is of another kind."""
        table = self.tables.setdefault(key, ArmTable.empty(steps, arms, grid))
        table.check(key, steps, arms, grid)
        return table

    def merge(self, other: ArmStatistics) -> ArmStatistics:
        """The sum of both, as new statistics that share no array with either."""
        merged = deepcopy(self.tables)
        for key, table in other.tables.items():
            merged[key] = merged[key].merge(table, key) if key in merged else deepcopy(table)
        return ArmStatistics(merged)

    def runs(self, key: str) -> int:
        """How many finished generations taught this key."""
        return self.tables[key].runs if key in self.tables else 0

    def describe(self, key: str) -> list[ArmRow]:
        """The arms that were pulled under `key`, by step and arm; none for an unknown key."""
        return self.tables[key].rows() if key in self.tables else []

    def to_json(self) -> str:
        """Versioned JSON: {"version": 1, "tables": {key: …}}."""
        tables = {key: table.to_dict() for key, table in sorted(self.tables.items())}
        return json.dumps({"version": VERSION, "tables": tables}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ArmStatistics:
        """What `to_json` wrote, bit for bit; raises StatisticsMismatch on any other version or on damaged values."""
        try:
            document = json.loads(text, parse_constant=_refuse_constant)
            return cls(_read_tables(document))
        except ValueError as fault:  # JSON's own error is one too
            raise StatisticsMismatch(f"these are not arm statistics of version {VERSION}: {fault}") from fault

    @classmethod
    def sum_of(cls, texts: Iterable[str]) -> ArmStatistics:
        """Of documents that `to_json` wrote, such as the tables a store keeps one by one; raises as `from_json`."""
        return reduce(cls.merge, map(cls.from_json, texts), cls())

    def __repr__(self) -> str:
        keys = ", ".join(f"{key!r}: {table.runs} runs" for key, table in sorted(self.tables.items()))
        return f"ArmStatistics({keys})"


def _read_tables(document: Any) -> dict[str, ArmTable]:
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise ValueError(f"`version` is not {VERSION}")
    if not isinstance(document.get("tables"), dict):
        raise ValueError("`tables` is missing")
    return {key: ArmTable.from_dict(fields) for key, fields in document["tables"].items()}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
