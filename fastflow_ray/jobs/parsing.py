"""Turns a person's fields into a job, or into one line saying what to mend. Never echoes what was sent."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fastflow_ray.complaints import in_words
from fastflow_ray.errors import InvalidInput
from fastflow_ray.jobs.video_job import IN_WORDS, NO_PROMPT, VideoJob

NAMED_COMPLAINTS = 8  # the rest is only counted
NAME_LIMIT = 40  # characters shown of a field name that we did not choose


def parse_job(fields: dict[str, Any]) -> VideoJob:
    """A valid job from loose fields; raises InvalidInput naming every wrong field and its remedy in one line."""
    try:
        return VideoJob.model_validate(fields)
    except ValidationError as invalid:
        raise InvalidInput(explain(invalid)) from None


def explain(invalid: ValidationError) -> str:
    """All complaints about one job as a single line for people."""
    complaints = invalid.errors(include_url=False, include_input=False)
    line = "; ".join(_unique(f"{_name(one)}: {in_our_words(one)}" for one in complaints[:NAMED_COMPLAINTS]))
    unnamed = len(complaints) - NAMED_COMPLAINTS
    return f"{line}; and {unnamed} more" if unnamed > 0 else line


def _unique(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))


def _name(complaint: ErrorDetails) -> str:
    """The field's name, printable and short: an unknown field's name is as foreign as its value."""
    name = str(complaint["loc"][0]) if complaint["loc"] else "job"
    printable = "".join(letter if letter.isprintable() else "?" for letter in name)
    return printable if len(printable) <= NAME_LIMIT else f"{printable[:NAME_LIMIT]}…"


def in_our_words(complaint: ErrorDetails) -> str:
    """What is wrong with a value, or what it has to be; of a job's field, or of an option of the command line."""
    match complaint["type"]:
        case "missing":
            return NO_PROMPT  # the only field without a default
        case "extra_forbidden":
            return _no_such_field(str(complaint["loc"][0]))
        case "string_pattern_mismatch":
            return IN_WORDS[complaint["ctx"]["pattern"]]
        case _:
            return in_words(complaint)


def _no_such_field(name: str) -> str:
    near = get_close_matches(name[:NAME_LIMIT], VideoJob.model_fields, n=1)
    return f"no such field; did you mean {near[0]}?" if near else "no such field"
