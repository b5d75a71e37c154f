"""A checkpoint as bytes: everything comes back bit for bit, and nothing else is believed."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from fastflow_ray.checkpoints import blob as blob_module
from fastflow_ray.checkpoints.blob import LENGTH_BYTES, read_checkpoint, write_checkpoint
from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.checkpoints.passport import Passport
from fastflow_ray.errors import UnusableCheckpoint
from fastflow_ray.sampling.state import State

VERSIONS = {"torch": "2.8", "diffusers": "0.42", "device": "cpu (x86_64)"}
PASSPORT = Passport.of("job-1", "a" * 64, ("a red circle", 50, 3.0), "shapes", "0123456789ab", VERSIONS)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


CHECKPOINT = Checkpoint(
    grid="0f0f0f0f0f0f",
    latents=random(1, 4, 2, 3, 3).bfloat16(),
    machine=State({"start": random(1, 4, 2, 3, 3, seed=1), "sigma": torch.tensor(0.7)}, {"step": 3, "errors": [0.1]}),
    policy={"added": [2], "source": None},
    generator=torch.Generator().manual_seed(5).get_state(),
)
BLOB = write_checkpoint(CHECKPOINT, PASSPORT)


def assert_equal(read: Checkpoint, written: Checkpoint) -> None:
    assert (read.step, read.grid, read.policy) == (written.step, written.grid, written.policy)
    assert read.machine.facts == written.machine.facts
    tensors = {**read.machine.tensors, "latents": read.latents, "generator": read.generator}
    expected = {**written.machine.tensors, "latents": written.latents, "generator": written.generator}
    assert tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        assert tensors[name].dtype is tensor.dtype
        assert torch.equal(tensors[name], tensor), name


def with_metadata(**changes: Any) -> bytes:
    """The same file with other metadata; None leaves an entry out."""
    length = int.from_bytes(BLOB[:LENGTH_BYTES], "little")
    header = json.loads(BLOB[LENGTH_BYTES : LENGTH_BYTES + length])
    header["__metadata__"] = {k: v for k, v in (header["__metadata__"] | changes).items() if v is not None}
    text = json.dumps(header).encode()
    return len(text).to_bytes(LENGTH_BYTES, "little") + text + BLOB[LENGTH_BYTES + length :]


def test_it_comes_back_bit_for_bit() -> None:
    assert_equal(read_checkpoint(BLOB, PASSPORT), CHECKPOINT)
    drawn = replace(CHECKPOINT, generator=None)
    assert read_checkpoint(write_checkpoint(drawn, PASSPORT), PASSPORT).generator is None


def test_a_tensor_that_is_a_view_of_another_is_written_by_itself() -> None:
    whole = random(4, 6)
    views = replace(CHECKPOINT, machine=State({"left": whole[:, ::2], "right": whole[:, 1::2].t()}, {"step": 3}))
    assert_equal(read_checkpoint(write_checkpoint(views, PASSPORT), PASSPORT), views)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("job_id", "job-2"), ("payload_sha256", "b" * 64), ("spec_sha256", "c" * 64), ("model", "wan"),
        ("revision", "ba9876543210"), ("versions", {"torch": "2.9", "diffusers": "0.42"}),
    ],
)  # fmt: skip
def test_another_jobs_models_or_softwares_is_refused_by_name(entry: str, value: object) -> None:
    with pytest.raises(UnusableCheckpoint, match=f"another {entry}"):
        read_checkpoint(BLOB, replace(PASSPORT, **{entry: value}))


def test_the_numbers_of_a_job_are_part_of_its_passport_and_the_device_is_not() -> None:
    other = Passport.of("job-1", "a" * 64, ("a red circle", 51, 3.0), "shapes", "0123456789ab", VERSIONS)
    assert other.differences(PASSPORT.to_dict()) == ["spec_sha256"]
    gpu = {**VERSIONS, "device": "cuda (another)"}
    assert Passport.of("job-1", "a" * 64, ("a red circle", 50, 3.0), "shapes", "0123456789ab", gpu) == PASSPORT


def test_a_version_to_come_is_not_guessed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob_module, "VERSION", 2)
    later = write_checkpoint(CHECKPOINT, PASSPORT)
    monkeypatch.undo()
    with pytest.raises(UnusableCheckpoint, match="of version '2', and this software reads 1"):
        read_checkpoint(later, PASSPORT)


FACTS = json.dumps({"passport": PASSPORT.to_dict(), "grid": "", "machine": {}, "policy": {}})


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "pt"}, {"format": None}, {"version": None}, {"version": "one"}, {"facts": None}, {"facts": "{"},
        {"facts": FACTS}, {"facts": "[" * 100_000}, {"sha256": None}, {"sha256": "0" * 64}, {"version": 1},
        {"version": ["1"]},
    ],
)  # fmt: skip
def test_metadata_that_are_not_what_was_written_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnusableCheckpoint):
        read_checkpoint(with_metadata(**changes), PASSPORT)
    assert_equal(read_checkpoint(with_metadata(), PASSPORT), CHECKPOINT)


@pytest.mark.parametrize("text", ["{}", "[]", "null", "3", '{"__metadata__": 3}', '{"__metadata__": {"format": []}}'])
def test_json_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(UnusableCheckpoint):
        read_checkpoint(len(text).to_bytes(LENGTH_BYTES, "little") + text.encode(), PASSPORT)


def test_any_other_file_of_tensors_is_refused() -> None:
    for metadata in (None, {"format": "pt"}):
        with pytest.raises(UnusableCheckpoint):
            read_checkpoint(save({"latents": torch.zeros(2)}, metadata), PASSPORT)


@given(junk=st.binary(max_size=300))
def test_bytes_that_are_no_checkpoint_are_refused(junk: bytes) -> None:
    for blob in (junk, BLOB[:LENGTH_BYTES] + junk, len(junk).to_bytes(LENGTH_BYTES, "little") + junk, BLOB + junk[:1]):
        if blob != BLOB:
            with pytest.raises(UnusableCheckpoint):
                read_checkpoint(blob, PASSPORT)


@given(length=st.integers(0, len(BLOB) - 1))
def test_a_file_that_ends_early_is_refused(length: int) -> None:
    with pytest.raises(UnusableCheckpoint):
        read_checkpoint(BLOB[:length], PASSPORT)


@given(bits=st.sets(st.integers(0, 8 * len(BLOB) - 1), min_size=1, max_size=3))
def test_a_file_with_flipped_bits_is_refused_unless_they_change_nothing(bits: set[int]) -> None:
    damaged = bytearray(BLOB)
    for bit in bits:
        damaged[bit // 8] ^= 1 << bit % 8
    try:
        read = read_checkpoint(bytes(damaged), PASSPORT)
    except UnusableCheckpoint:
        return
    assert_equal(read, CHECKPOINT)  # a blank of the header has become another blank


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    for blob in (trap, len(trap).to_bytes(LENGTH_BYTES, "little") + trap, BLOB[: -len(trap)] + trap):
        with pytest.raises(UnusableCheckpoint):
            read_checkpoint(blob, PASSPORT)
    torch.save(Trap(tmp_path / "sprung"), tmp_path / "saved.pt")
    with pytest.raises(UnusableCheckpoint):
        read_checkpoint((tmp_path / "saved.pt").read_bytes(), PASSPORT)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap)  # noqa: S301  # ours, and the attack it shows
    assert (tmp_path / "sprung").exists(), "the trap works"
