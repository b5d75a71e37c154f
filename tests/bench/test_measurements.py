"""Measurements outlive whatever ends the process that makes them."""

from __future__ import annotations

import shutil
from pathlib import Path

import grimp
import pytest
from made_up import ANY, NOW, measured

from fastflow_ray.bench.facts import PACKAGE, Stamp, stamp
from fastflow_ray.bench.measurement import Ledger
from fastflow_ray.errors import FastFlowError

BEFORE = Stamp("before", "this code")
FACTS = {"revision": "1", "device": "cpu", "versions": {}, "machine": {}, "threads": 1}
ROWS = ("fastflow_ray.bench.ours", "fastflow_ray.bench.step_skipping")


def test_what_was_added_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "measurements.jsonl"
    ledger = Ledger(path, NOW)
    ledger.add(ANY)
    ledger.add(measured(seed=1))
    assert [Ledger(path, NOW).get(each.key) for each in (ANY, measured(seed=1))] == [ANY, measured(seed=1)]
    assert Ledger(path, NOW).get(measured(seed=2).key) is None


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\r", "\n", "\x1c"])
def test_a_prompt_may_break_lines(tmp_path: Path, mark: str) -> None:
    path, broken = tmp_path / "measurements.jsonl", measured(prompt=f"a red{mark}circle")
    for each in (broken, ANY):
        Ledger(path, NOW).add(each)
    assert [Ledger(path, NOW).get(each.key) for each in (broken, ANY)] == [broken, ANY]


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "measurements.jsonl"
    Ledger(path, NOW).add(ANY)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    ledger = Ledger(path, NOW)
    ledger.add(measured(seed=1))
    assert Ledger(path, NOW).get(measured(seed=1).key) == measured(seed=1)
    assert path.read_bytes().startswith(whole)
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize(
    "damage", [b"\n", b"{}\n", b"[1]\n", b"\xff\xfe\n", b'{"stamp": "now", "method": "peer", "regime": 3}\n']
)
def test_a_damaged_line_costs_only_itself(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "measurements.jsonl"
    path.write_bytes(damage)
    Ledger(path, NOW).add(ANY)
    assert Ledger(path, NOW).get(ANY.key) == ANY


def test_other_weights_or_versions_are_measured_anew(tmp_path: Path) -> None:
    path = tmp_path / "measurements.jsonl"
    Ledger(path, BEFORE).add(ANY)
    now = Ledger(path, NOW)
    assert now.get(ANY.key) is None
    now.add(measured(psnr_db=41.0))
    before = Ledger(path, BEFORE).get(ANY.key)
    assert before == ANY


def test_our_figures_are_of_our_code_and_the_peers_are_not(tmp_path: Path) -> None:
    path, ours = tmp_path / "measurements.jsonl", measured(method="ours", learning=12)
    for each in (ANY, ours):
        Ledger(path, NOW).add(each)
    changed = Ledger(path, Stamp("now", "other code"))
    assert (changed.get(ANY.key), changed.get(ours.key)) == (ANY, None)


def test_the_stamp_is_of_all_code_that_makes_our_figures(tmp_path: Path) -> None:
    package = shutil.copytree(PACKAGE, tmp_path / "fastflow_ray", ignore=shutil.ignore_patterns("*.safetensors"))
    facade = "fastflow_ray.fastflow"
    imported = grimp.build_graph("fastflow_ray", cache_dir=None).find_upstream_modules(facade)
    assert {name.split(".")[1] for name in imported} >= {"bandit", "models", "planning", "sampling"}
    seen = {stamp(FACTS, package).code}
    for number, name in enumerate(sorted({facade, *ROWS, *imported}), start=2):
        with package.joinpath(*name.split(".")[1:]).with_suffix(".py").open("a") as module:
            module.write("\n")
        seen.add(stamp(FACTS, package).code)
        assert len(seen) == number, f"the stamp does not see {name}"


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FastFlowError, match="cannot keep measurements"):
        Ledger(tmp_path / "file" / "measurements.jsonl", NOW)
