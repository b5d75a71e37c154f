"""How a benchmark's result reaches its folder: as JSON, and as Markdown for people. Measures nothing, draws nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastflow_ray.atomic_file import replacing


def save(folder: Path, stem: str, result: Mapping[str, Any], sections: Sequence[str]) -> None:
    """Leave `stem`.json and `stem`.md, each whole or not at all; raises FastFlowError if one cannot be written."""
    document = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    for name, text in {f"{stem}.json": document, f"{stem}.md": "\n\n".join(sections)}.items():
        with replacing(folder / name) as sibling:
            sibling.write_text(text + "\n", encoding="utf-8")
