"""The only reader of `os.environ`. What a variable means is said by who asks: `settings.py`, and the catalogue."""

from __future__ import annotations

import os
from collections.abc import Mapping

PREFIX = "FASTFLOW_"
MODELS = PREFIX + "MODELS"  # the file in which operators name models of their own
ENVIRONMENT: Mapping[str, str] = os.environ
