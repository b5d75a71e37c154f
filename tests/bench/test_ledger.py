"""Measurements outlive whatever ends the process that makes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import ANY, measured

from fastflow_ray.bench.measurement import Ledger
from fastflow_ray.errors import FastFlowError


def test_what_was_added_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "measurements.jsonl"
    ledger = Ledger(path, "now")
    ledger.add(ANY)
    ledger.add(measured(seed=1))
    assert [Ledger(path, "now").get(each.key) for each in (ANY, measured(seed=1))] == [ANY, measured(seed=1)]
    assert Ledger(path, "now").get(measured(seed=2).key) is None


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "measurements.jsonl"
    Ledger(path, "now").add(ANY)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    ledger = Ledger(path, "now")
    ledger.add(measured(seed=1))
    assert Ledger(path, "now").get(measured(seed=1).key) == measured(seed=1)
    assert path.read_bytes().startswith(whole)
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("damage", [b"\n", b"{}\n", b"[1]\n", b"\xff\xfe\n", b'{"stamp": "now", "regime": 3}\n'])
def test_a_damaged_line_costs_only_itself(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "measurements.jsonl"
    path.write_bytes(damage)
    Ledger(path, "now").add(ANY)
    assert Ledger(path, "now").get(ANY.key) == ANY


def test_other_weights_or_versions_are_measured_anew(tmp_path: Path) -> None:
    path = tmp_path / "measurements.jsonl"
    Ledger(path, "before").add(ANY)
    now = Ledger(path, "now")
    assert now.get(ANY.key) is None
    now.add(measured(psnr_db=41.0))
    before = Ledger(path, "before").get(ANY.key)
    assert before == ANY


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FastFlowError, match="cannot keep measurements"):
        Ledger(tmp_path / "file" / "measurements.jsonl", "now")
