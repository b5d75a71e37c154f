"""Whether Grafana could draw a dashboard, and a person read it. Needs no Grafana."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from k8s.check import promql

COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}  # of the name that Ray's dashboard hands over
UID = "fastflowFleet"  # as README.md tells Ray

_VARIABLE = re.compile(r"\$\{?([a-zA-Z_]\w*)")
Board = dict[str, Any]


def problems(board: Board) -> Iterator[str]:
    """What would not be drawn, or not be understood."""
    if board.get("uid") != UID:
        yield f"its uid must be {UID}, by which Ray's dashboard finds it"
    variables = {variable["name"] for variable in board["templating"]["list"]}
    if "datasource" not in variables:
        yield "needs the variable datasource, which Ray's dashboard sets"
    panels = board["panels"]
    ids = [panel["id"] for panel in panels]
    for id_ in sorted({id_ for id_ in ids if ids.count(id_) > 1}):
        yield f"two panels have the id {id_}"
    for panel in panels:
        yield from (f"{panel['title']}: {message}" for message in _problems_of(panel, variables))
    for one, other in combinations(panels, 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            yield f"{one['title']} covers {other['title']}"


def of_file(path: Path) -> Board:
    """A dashboard as Grafana exports it."""
    board: Board = json.loads(path.read_text())
    return board


def asked(panel: Board) -> list[str]:
    """The panel's expressions, as Prometheus would get them."""
    return [_filled_in(target["expr"]) for target in panel.get("targets", [])]


def _problems_of(panel: Board, variables: set[str]) -> Iterator[str]:
    place = panel["gridPos"]
    if place["x"] < 0 or place["x"] + place["w"] > COLUMNS:
        yield f"reaches beyond {COLUMNS} columns"
    if panel["type"] == "row":
        return
    if not panel.get("description"):
        yield "needs a description"
    if not panel["fieldConfig"]["defaults"].get("unit"):
        yield "needs a unit"
    if panel.get("datasource") != DATASOURCE:
        yield "must ask the datasource of the variable"
    for unknown in sorted(set(_VARIABLE.findall(json.dumps(panel))) - variables):
        yield f"there is no variable {unknown}"
    if not panel.get("targets"):
        yield "asks for nothing"
    for expression in asked(panel):
        yield from promql.problems(expression)


def _filled_in(expression: str) -> str:
    return _VARIABLE.sub(lambda found: "5m" if found[1] == "window" else "x", expression)


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )
