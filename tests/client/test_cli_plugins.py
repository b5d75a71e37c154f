"""Commands that other packages bring along: described without being imported, and told what is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import NoReturn

import pytest
from scripted_fleet import Answer

Command = Callable[..., Answer]

PLUGIN = '''
import sys
print("imported")
import {needs}
from fastflow_ray.errors import InvalidInput

def raise_fleet(workers: int = 2) -> None:
    """Raise a fleet of many workers.

    More about it.
    """
    if workers == 0:
        raise InvalidInput("a fleet of no workers does nothing; use at least 1")
    print("raised", workers)
'''


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Install a plugin with the command `up`, whose module needs some other one; answers its module's name."""
    names = iter(f"plugin_{tmp_path.name}_{number}" for number in range(10))

    def install_one(needs: str) -> str:
        module = next(names)
        (tmp_path / f"{module}.py").write_text(PLUGIN.format(needs=needs))
        info = tmp_path / f"{module}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[fastflow_ray.commands]\nup-{needs} = {module}:raise_fleet\n")
        return module

    monkeypatch.syspath_prepend(tmp_path)
    return install_one


def test_help_describes_a_plugin_without_importing_it(install: Callable[[str], str], command: Command) -> None:
    module = install("math")
    answer = command("--help")
    assert answer.code == 0
    assert "up-math" in answer.out
    assert "Raise a fleet of many workers." in answer.out
    assert "imported" not in answer.out
    assert module not in sys.modules


def test_a_plugin_is_a_command_like_ours(install: Callable[[str], str], command: Command) -> None:
    install("math")
    assert command("up-math", "--workers", 3).out == "imported\nraised 3\n"
    refused = command("up-math", "--workers", 0)
    assert (refused.code, refused.err) == (2, "error: a fleet of no workers does nothing; use at least 1\n")
    assert command("up-math", "--colour").code == 2
    assert "--workers" in command("up-math", "--help").out


def test_a_missing_extra_is_named(
    install: Callable[[str], str], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("ray")
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    answer = command("up-ray")
    assert answer.code == 1
    assert answer.err == (
        "error: this command needs ray, which is not installed:"
        ' in the folder that fastflow-ray was cloned into, pip install ".[fleet]"\n'
    )  # fmt: skip


def test_generate_names_its_extra_too(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "fastflow_ray.fastflow", raising=False)
    answer = command("generate", "a circle", "-o", tmp_path / "o.mp4")
    assert answer.code == 1
    assert answer.err.startswith("error: this command needs torch, which is not installed: ")
    assert answer.err.endswith(', pip install ".[models]"\n')


@pytest.mark.parametrize(
    ("name", "missed", "extra"),
    [("demo", "numpy", "fleet"), ("up", "numpy", "fleet"), ("serve", "uvicorn", "api"), ("serve", "ray", "fleet")],
)
def test_the_extra_is_the_one_with_all_that_the_command_needs(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str, missed: str, extra: str
) -> None:
    def load(plugin: EntryPoint) -> NoReturn:
        raise ModuleNotFoundError(f"No module named {missed!r}", name=missed)

    monkeypatch.setattr(EntryPoint, "load", load)
    answer = command(name)
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert answer.err.startswith(f"error: this command needs {missed}, ")
    assert answer.err.endswith(f', pip install ".[{extra}]"\n')


def test_a_plugin_whose_module_is_gone_does_not_break_help(
    install: Callable[[str], str], command: Command, tmp_path: Path
) -> None:
    (tmp_path / f"{install('math')}.py").unlink()
    assert "up-math" in command("--help").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("generate", "x", "-o", "o.mp4", "--preset", "turbo"), "'turbo' is not one of 'faithful', 'balanced', 'fast'"),
        (("generate", "x", "-o", "o.mp4", "--speedup", "fast"), "must be a number"),
        (("submit", "x", "--count", 0), "too small; at least 1"),
        (("submit", "x", "--count", 1001), "too large; at most 1000"),
        (("list", "--limit", "x"), "must be a whole number"),
        (("up", "--workers", 0), "too small; at least 1"),
        (("serve", "--port", "x"), "must be a whole number"),
    ],
)
def test_a_wrong_value_is_told_in_our_words(command: Command, words: tuple[object, ...], said: str) -> None:
    answer, option = command(*words), words[-2]
    assert answer.code == 2
    assert answer.err == f"error: Invalid value for '{option}': {said}; see `fastflow-ray {words[0]} --help`\n"


def test_the_version_and_no_command_at_all(command: Command) -> None:
    assert command("version").out == "0.1.0\n"
    assert command("--version") == Answer(0, "0.1.0\n", "")
    assert "submit" in command().out + command().err
