"""What commands say while they work, and records as the JSON they print under `--json`."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler
from rich.status import Status

from fastflow_ray.queue.contract import JobRecord


def announced(screen: Console, words: str) -> Status:
    """A spinner beside the words; without a terminal they are a line, for a minute of silence looks like a fault."""
    if not screen.is_terminal:
        screen.print(words, highlight=False, soft_wrap=True)
    return screen.status(words)


def log_to(screen: Console) -> None:
    """Warnings of our own code go to the screen as lines above whatever moves there; without a terminal none moves."""
    lines: logging.Handler = logging.StreamHandler(screen.file)
    if screen.is_terminal:
        lines = RichHandler(
            console=screen, show_time=False, show_level=False, show_path=False, highlighter=NullHighlighter()
        )
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[lines])


def print_json(value: Any) -> None:
    """One JSON value on one line, as programs read it."""
    print(json.dumps(value, ensure_ascii=False))


def record_json(record: JobRecord) -> dict[str, Any]:
    """A record with its payload opened under `job`, and no time left of what no longer runs or may not."""
    fields = asdict(record)
    fields["progress"]["eta_s"] = record.eta_s
    payload = fields.pop("payload")
    try:
        job = json.loads(payload)
    except ValueError:
        job = None
    return {"id": fields.pop("job_id"), **fields, "job": job}
