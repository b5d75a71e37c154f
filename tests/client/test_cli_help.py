"""What `--help` shows of an option: what it takes, in whole words, on a narrow terminal too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted_fleet import Answer

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.jobs.lane import Lane
from fastflow_ray.jobs.states import JobState
from fastflow_ray.settings import Settings

Command = Callable[..., Answer]


@pytest.fixture(params=[80, 120])
def help_of(command: Command, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """The help of a command, on a terminal of so many columns."""
    monkeypatch.setenv("COLUMNS", str(request.param))
    return lambda words: command(*words.split(), "--help").out


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        ("", "--help"), ("queue", "--help"), ("policy show", "--json"), ("queue purge", "--yes"), ("submit", "--wait"),
        ("generate", "--audit --no-audit"), ("bench", "--all"), ("up", "--help"),
    ],
)  # fmt: skip
def test_a_flag_takes_nothing(help_of: Callable[[str], str], words: str, flag: str) -> None:
    told = [line.split() for line in help_of(words).splitlines()]
    (line,) = [line for line in told if line[1 : 1 + len(flag.split())] == flag.split()]
    assert line[1 + len(flag.split())][0].isupper(), "its sentence follows at once"


@pytest.mark.parametrize(
    ("words", "choices"),
    [("generate", Acceleration), ("submit", Lane), ("list", JobState)],
    ids=str,
)
def test_no_choice_is_broken(
    help_of: Callable[[str], str], words: str, choices: type[Acceleration | Lane | JobState]
) -> None:
    told = help_of(words).replace("<", " ").replace(">", " ").split()
    assert set(map(str, choices)) <= set(told)


def test_other_options_tell_what_they_take(help_of: Callable[[str], str]) -> None:
    told = help_of("submit")
    for option, taken in (("--steps", "<int>"), ("--guidance", "<float>"), ("--speedup", "X"), ("--redis", "URL")):
        assert [option, taken] in [line.split()[1:3] for line in told.splitlines()]


@pytest.mark.parametrize("words", ["generate", "submit"])
def test_a_negative_prompt_is_told_to_need_guidance(help_of: Callable[[str], str], words: str) -> None:
    told = " ".join(help_of(words).replace("│", " ").split())
    assert "What it must not show; needs guidance above 1." in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("submit", "Whose share of the fleet this takes. Default: the tenant 'default'."),
        ("queue share", "2 is served twice what 1 is. Default: that of '*', or 1."),
        ("serve", "Port to listen on. [default: 8000]"),
        *((words, f"Default: FASTFLOW_REDIS_URL, or {Settings().redis_url}.") for words in ("list", "serve")),
        *((words, "Default: FASTFLOW_STORE_URL, or .fastflow-ray/store in this folder.") for words in ("get", "serve")),
    ],
)
def test_what_is_left_out_is_told(help_of: Callable[[str], str], words: str, told: str) -> None:
    assert told in " ".join(help_of(words).replace("│", " ").split())


@pytest.mark.parametrize("words", ["", "queue", "policy"])
def test_what_a_command_is_for_is_broken_only_by_the_end_of_the_terminal(
    command: Command, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    *_, commands = command(*words.split(), "--help").out.split("Commands")
    assert [line for line in commands.splitlines() if line.startswith("│  ")] == []
