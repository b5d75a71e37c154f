"""Whether an actor is there, where Ray cannot be asked."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

os.environ["RAY_AUTH_MODE"] = "disabled"  # read when Ray is imported

from ray import ActorID
from ray._private import state

from orchestration.actor_life import is_alive
from workers import private_ray


def test_of_a_ray_that_does_not_tell_every_actor_is_there_and_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(state.GlobalState, "actor_table")
    private_ray._complain_once.cache_clear()
    actor = SimpleNamespace(_actor_id=ActorID.from_random())
    assert is_alive(actor)
    assert is_alive(actor)
    assert caplog.text.count("this Ray does not tell whether an actor is there") == 1
