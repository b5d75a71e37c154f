"""Without a connection to its Ray cluster a fleet is out of reach, and no Ray is started in its stead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ASK = """
import ray
from fastflow_ray.errors import FleetUnavailable
from orchestration.autoscale import Limits
from orchestration.fleet import Fleet
from orchestration.fleet_plan import FleetPlan

try:
    Fleet(FleetPlan(("shapes",), "redis://127.0.0.1:1/0", "file:///tmp/none", Limits(0, 1)))
except FleetUnavailable as trouble:
    print(trouble)
print(ray.is_initialized())
"""


def test_who_lost_his_cluster_is_told_so_and_is_given_no_other(tmp_path: Path) -> None:
    """As the fleet starter in its pod, when the head's has been away for longer than Ray's client tries again."""
    environment = os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": f"/tmp/ff-{os.getpid()}"}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["the connection to the Ray cluster is lost; join it again", "False"]
