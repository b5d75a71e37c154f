"""Whose checkpoint it is and what made it: another worker goes on only where all of this is the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

DEVICE = "device"  # in an engine's versions


@dataclass(frozen=True)
class Passport:
    """A job, what it asks for, the weights, and the software that was at work."""

    job_id: str
    payload_sha256: str
    spec_sha256: str  # of the numbers as they were settled
    model: str
    revision: str
    versions: Mapping[str, str]

    @classmethod
    def of(
        cls, job_id: str, payload_sha256: str, spec: object, model: str, revision: str, versions: Mapping[str, str]
    ) -> Passport:
        """`versions` without the device: a video may be ended on another kind of GPU, which would have made it to other
        bits, though not to a worse video; other software may mean something else by the same state."""
        spec_sha256 = hashlib.sha256(repr(spec).encode()).hexdigest()
        software = {name: version for name, version in versions.items() if name != DEVICE}
        return cls(job_id, payload_sha256, spec_sha256, model, revision, software)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def differences(self, fields: Any) -> list[str]:
        """Names of the entries in which `to_dict` of another differs."""
        theirs = fields if isinstance(fields, dict) else {}
        return [name for name, ours in self.to_dict().items() if theirs.get(name) != ours]
