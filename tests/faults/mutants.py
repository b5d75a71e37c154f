"""The queue's scripts with a mistake in them, for the controls: tests that could not find a mistake would be worthless.

A mistake is a line of Lua between what all scripts share and what one of them does. It reaches the process that made it
only; a crew's workers make their own (`WorkPlan.mistake`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from unittest.mock import patch

from fastflow_ray.queue import redis_queue
from fastflow_ray.queue.script import FOLDER, Script, load_script

NO_FENCE = "mine = function(id, fence) return field(id, 'state') == 'running' end"
COUNTED_FENCE = "now_us = 0"  # max(last + 1, 0) is INCR
FORGETFUL_CLAIM = "local read = field; field = function(id, name) return name ~= 'nonce' and read(id, name) end"
HASTY_BURIAL = "make_ready = function(id) finish(id, 'dead', 60000) end"  # a reaper that gives nothing back
BLIND_BURIAL = "look_once = function(id, code) ENDS[code](id, 60000) end"  # nobody looks for what was published
LOST_RESULT = "local end_as = finish; finish = function(id, state, ttl_ms) end_as(id, 'dead', ttl_ms) end"
FORGETFUL_SUBMIT = "known = function(id) return false end"  # a submit that is repeated makes the job anew


@contextmanager
def mistake(line: str, script: str) -> Iterator[None]:
    """Within it the script has the mistake."""

    def load(name: str) -> Script:
        original = load_script(name)
        if name != script:
            return original
        own = (FOLDER / f"{name}.lua").read_text()
        assert original.source.endswith(own)
        source = f"{original.source.removesuffix(own)}{line}\n{own}"
        return Script(name, source, sha1(source.encode(), usedforsecurity=False).hexdigest())

    with patch.object(redis_queue, "load_script", load):
        yield
