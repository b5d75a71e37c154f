"""Alerts as Prometheus works them out, where promtool is installed: which a fleet sets off, and which it does not."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import yaml

K8S = Path(__file__).parents[2] / "k8s"
STORY = Path(__file__).with_name("alerts.test.yaml")


def without_operator(folder: Path) -> Path:
    """The rules as README.md gives them to a Prometheus without an operator."""
    (command,) = re.findall(
        r"^(sed .* k8s/monitoring/alerts\.yaml) > .*$", (K8S / "README.md").read_text(), re.MULTILINE
    )
    plain = folder / "alerts.yaml"
    plain.write_bytes(subprocess.run(command, shell=True, check=True, capture_output=True, cwd=K8S.parent).stdout)
    return plain


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_rules_with_and_without_an_operator(tmp_path: Path) -> None:
    plain = without_operator(tmp_path)
    assert yaml.safe_load(plain.read_text()) == yaml.safe_load((K8S / "monitoring" / "alerts.yaml").read_text())["spec"]
    promtool("check", "rules", plain)


def test_a_fleet_sets_off_the_alerts_that_it_should(tmp_path: Path) -> None:
    without_operator(tmp_path)
    promtool("test", "rules", shutil.copy(STORY, tmp_path))
