"""The table tells what was promised, and marks what was not kept."""

from __future__ import annotations

import pytest
from fault_report import table_of


@pytest.mark.parametrize(
    ("took_s", "promised_s", "shown"),
    [(2.5, 3.0, "2.50 | 3.00"), (3.0, 3.0, "3.00 | 3.00"), (3.25, 3.0, "**3.25, too long** | 3.00"),
     (3.25, None, "3.25 | –"), (None, 3.0, "– | 3.00")],
)  # fmt: skip
def test_a_recovery_that_took_longer_than_promised_is_marked(
    took_s: float | None, promised_s: float | None, shown: str
) -> None:
    *_, row = table_of([{"test": "t", "recovery_s": took_s, "promised_s": promised_s}]).splitlines()
    assert f"| {shown} |" in row
