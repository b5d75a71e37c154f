"""What a job's payload says, made fit for a terminal, whatever the payload holds."""

from __future__ import annotations

import json

from fastflow_ray.queue.contract import JobRecord


def prompt_of(record: JobRecord) -> str:
    """The prompt on one line, whatever the payload holds."""
    try:
        prompt = json.loads(record.payload)["prompt"]
    except (ValueError, KeyError, TypeError):
        return "(unreadable)"
    return on_one_line(str(prompt))


def model_of(record: JobRecord) -> str:
    """The model it asks for; empty if the payload cannot be read."""
    try:
        return str(json.loads(record.payload)["model"])
    except (ValueError, KeyError, TypeError):
        return ""


def on_one_line(text: str) -> str:
    """Without what could steer a terminal: prompts are other people's."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
