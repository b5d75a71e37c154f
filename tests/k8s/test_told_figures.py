"""The figures that k8s/README.md tells of are those that there are, and all of them."""

from __future__ import annotations

import re
from pathlib import Path

from k8s.check.figures import figures

README = (Path(__file__).parents[2] / "k8s" / "README.md").read_text()
TABLE = re.compile(r"^\| (`.*?) \| (?:supervisor|workers|statistics)[^|]* \|", re.MULTILINE)
FLEETS = "ray_fastflow_"
DURATIONS = {"job_queue_seconds", "job_duration_seconds", "cancel_latency_seconds"}


def told() -> dict[str, set[str]]:
    """Name → labels, `model` left out, as the table has them."""
    labelled = [one for row in TABLE.findall(README) for one in re.findall(r"`([a-z_]+)(?:\{([a-z,]+)\})?`", row)]
    sums = [(f"{name.removesuffix('_seconds')}_sum_seconds_total", "") for name, _ in labelled if name in DURATIONS]
    return {name: set(filter(None, labels.split(","))) for name, labels in (*labelled, *sums)}


def test_every_figure_of_the_fleet_is_told_of_and_no_other() -> None:
    fleets = {name: figure for name, figure in figures().items() if name.startswith(FLEETS)}
    assert told() == {name.removeprefix(FLEETS): set(one.labels) - {"model"} for name, one in fleets.items()}


def test_the_apis_figures_are_told_of() -> None:
    own = [figure for name, figure in figures().items() if not name.startswith(FLEETS)]
    assert len(own) == 4
    for figure in own:
        assert re.search(rf"`{figure.name}[`{{]", README), figure.name
