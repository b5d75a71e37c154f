"""What importing the package costs, and what it offers."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import fastflow_ray
from fastflow_ray.client import Client
from fastflow_ray.jobs.video_job import VideoJob

HEAVY = {"torch", "ray", "numpy", "av", "diffusers", "transformers", "boto3", "matplotlib", "fastapi"}


def imported_by(program: str, folder: Path) -> set[str]:
    """The top-level packages that a fresh interpreter has imported at the end of the program."""
    listing = "\nimport json, sys\nprint('\\n' + json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", program + listing], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "program",
    [
        "from fastflow_ray import Client, VideoJob; Client('redis://127.0.0.1:1/0', 'file:///tmp/s')",
        "from fastflow_ray import Client; Client('http://127.0.0.1:1').close()",
        "from fastflow_ray.cli import main\ntry: main(['--help'])\nexcept SystemExit as end: assert not end.code",
        "from fastflow_ray.cli import main\n"
        "try: main(['submit', 'a circle', '--redis', 'redis://127.0.0.1:1/0'])\n"
        "except SystemExit as end: assert end.code == 1, end.code",
    ],
    ids=["client over redis", "client over http", "help", "submit"],
)
def test_a_client_needs_nothing_heavy(program: str, tmp_path: Path) -> None:
    assert imported_by(program, tmp_path) & HEAVY == set()


def test_the_package_itself_imports_nothing_but_itself(tmp_path: Path) -> None:
    assert imported_by("import fastflow_ray", tmp_path) & (HEAVY | {"pydantic", "redis", "httpx", "typer"}) == set()


INTERRUPTED = """
import signal, sys

class InterruptsTheImport:
    def find_spec(self, name, *_):
        if name == "typer":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, InterruptsTheImport())
from fastflow_ray.cli import main
main(["version"])
"""


def test_ctrl_c_while_the_command_line_is_imported_is_quiet() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_names_are_there_when_they_are_used() -> None:
    assert fastflow_ray.Client is Client
    assert fastflow_ray.VideoJob is VideoJob
    assert fastflow_ray.FastFlow.__module__ == "fastflow_ray.fastflow"
    assert set(fastflow_ray.__all__) == set(dir(fastflow_ray))
    with pytest.raises(AttributeError, match="has no attribute 'Flow'"):
        _ = fastflow_ray.Flow


def test_the_version_is_that_of_the_installed_package() -> None:
    assert fastflow_ray.__version__ == version("fastflow-ray")
