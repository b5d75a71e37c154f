"""The operator's commands, against a real Valkey."""

from __future__ import annotations

import json
from collections.abc import Callable

from scripted_fleet import Answer, Fleet

Command = Callable[..., Answer]


def test_shares_are_set_shown_and_taken_back(fleet: Fleet, on_fleet: Command) -> None:
    assert on_fleet("queue", "share").out == "all tenants share alike\n"
    set_ = on_fleet("queue", "share", "ann", "--weight", 2, "--max-running", 1, "--json")
    assert json.loads(set_.out) == {"ann": {"weight": 2.0, "max_running": 1, "max_queued": None}}
    assert on_fleet("queue", "share", "*", "--max-queued", 0).code == 0
    refused = on_fleet("submit", "a circle", "--tenant", "bob")
    assert refused.code == 1
    assert "0 jobs of tenant 'bob' wait, which is its limit" in refused.err
    assert on_fleet("queue", "share", "*").code == 0
    assert on_fleet("submit", "a circle", "--tenant", "bob").code == 0
    shown = on_fleet("queue", "share").out.splitlines()
    assert [line.split() for line in shown] == [["tenant", "weight", "running", "queued"], ["ann", "2.0", "1"]]


def test_a_share_that_means_nothing_is_a_mistake(on_fleet: Command) -> None:
    for words in (("ann", "--weight", 0), ("a:b", "--weight", 1), ("ann", "--max-running", -1)):
        answer = on_fleet("queue", "share", *words)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("error: ")
