"""JSON objects that carry their own checksum, so that a single flipped letter shows. Knows nothing of what they say."""

from __future__ import annotations

import hashlib
import json
from typing import Any

SEAL = "seal_sha256"  # of the other members, as compact JSON with sorted names: JSON may be laid out anew and is whole


def sealed(fields: dict[str, Any]) -> bytes:
    """UTF-8 JSON, indented for people, with the seal as its last member."""
    return json.dumps(fields | {SEAL: _sha256(fields)}, indent=2, ensure_ascii=False, allow_nan=False).encode()


def unsealed(text: bytes) -> dict[str, Any] | None:
    """The members without the seal; None if it is broken or not there."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    seal = fields.pop(SEAL, None)
    return fields if seal == _sha256(fields) else None


def _sha256(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
