"""Statistics as JSON, a page per table: what a report did not touch is not written anew for every answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

VERSION = 7  # of the whole document


class Writable(Protocol):
    """A table, of whichever kind."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""


@dataclass(frozen=True)
class Pages:
    """The texts of tables, by kind and policy key."""

    arms: Mapping[str, str] = field(default_factory=dict)
    trajectories: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, arms: Mapping[str, Writable], trajectories: Mapping[str, Writable]) -> Pages:
        """Of these tables, by policy key; raises ValueError on a number that JSON has not."""
        return cls(_written(arms), _written(trajectories))

    @property
    def keys(self) -> set[str]:
        """Of all tables."""
        return {*self.arms, *self.trajectories}

    def updated(self, newer: Pages) -> Pages:
        """These, with the newer ones in the place of theirs."""
        return Pages({**self.arms, **newer.arms}, {**self.trajectories, **newer.trajectories})

    def only(self, key: str) -> Pages:
        """Those of one policy key."""
        return Pages(_only(key, self.arms), _only(key, self.trajectories))

    def to_json(self) -> str:
        """What `Statistics.from_json` reads: {"version": …, "arms": {key: …}, "trajectories": {key: …}}."""
        return f'{{"version": {VERSION}, "arms": {_object(self.arms)}, "trajectories": {_object(self.trajectories)}}}'


def _written(tables: Mapping[str, Writable]) -> dict[str, str]:
    return {key: json.dumps(table.to_dict(), allow_nan=False) for key, table in tables.items()}


def _only(key: str, pages: Mapping[str, str]) -> dict[str, str]:
    return {key: pages[key]} if key in pages else {}


def _object(pages: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{json.dumps(key)}: {page}" for key, page in sorted(pages.items())) + "}"
