"""Who may ask: with a key configured, whoever sends `Authorization: Bearer <key>`; without one, everybody.

Knows nothing of what is asked.
"""

from __future__ import annotations

import hmac

from starlette.requests import Request

from orchestration.api.errors import Refusal


class BearerKey:
    """A dependency of every route that reads or changes jobs."""

    def __init__(self, api_key: str | None) -> None:
        self._expected = None if api_key is None else f"Bearer {api_key}".encode()

    def __call__(self, request: Request) -> None:
        """Raises Refusal 401; the comparison takes as long for a nearly right key as for a wrong one."""
        sent = request.headers.get("authorization", "").encode("latin-1")
        if self._expected is not None and not hmac.compare_digest(sent, self._expected):
            raise Refusal(401, "invalid_api_key", "send the server's key as 'Authorization: Bearer <key>'")
