"""A manifest with a broken seal is nobody's result; a whole one is not passed over, be it understood or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastflow_ray.errors import StorageFailed
from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.folder import FolderStore
from fastflow_ray.storage.manifest_shelf import NAMES
from fastflow_ray.storage.publication import Manifest, Outcome, Publisher
from fastflow_ray.storage.seal import sealed, unsealed

MakeOutcome = Callable[..., Outcome]
MakeFiles = Callable[..., dict[str, tuple[Path, str]]]
KEY = "jobs/job-1/result.json"
JSON = "application/json"


def changed(manifest: Manifest, **changes: Any) -> bytes:
    return sealed(manifest.model_dump(mode="json") | changes)


DAMAGED = [
    b"",
    b"[]",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"schema_version": 1, "job_id": "jo',
    b'{"schema_version": 99}',
    b'{"seal_sha256": "0"}',
]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_manifest_is_passed_over_and_mended(
    store: Store, make_outcome: MakeOutcome, make_files: MakeFiles, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Publisher(store)
    store.put_bytes(KEY, text, JSON)
    assert publisher.find("job-1") is None
    assert f"! {KEY} in {store.url} is damaged and passed over" in caplog.text
    manifest = publisher.publish(make_outcome(2), make_files(2))
    assert manifest.fence == 2
    assert publisher.publish(make_outcome(3), make_files(3)) == publisher.find("job-1") == manifest
    assert store.get_bytes(KEY) == manifest.to_json(), "whoever looks there finds the same"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)  # both only make values
@given(st.data())
def test_a_flipped_bit_never_changes_what_a_manifest_says(
    tmp_path_factory: pytest.TempPathFactory, make_outcome: MakeOutcome, make_files: MakeFiles, data: st.DataObject
) -> None:
    store = FolderStore(tmp_path_factory.mktemp("store"))
    manifest = Publisher(store).publish(make_outcome(prompt="a naïve circle", guidance=0.1 + 0.2), make_files())
    text = bytearray(manifest.to_json())
    bit = data.draw(st.integers(0, 8 * len(text) - 1))
    text[bit // 8] ^= 1 << bit % 8
    store.put_bytes(KEY, bytes(text), JSON)
    assert Publisher(store).find("job-1") in (None, manifest)


def test_json_laid_out_anew_is_whole(make_outcome: MakeOutcome) -> None:
    fields = make_outcome(prompt="ein naïver Kreis", guidance=1e-7).model_dump(mode="json")
    compact = json.dumps(dict(reversed(json.loads(sealed(fields)).items())), separators=(",", ":"))
    assert unsealed(compact.encode()) == unsealed(sealed(fields)) == fields


def test_a_manifest_of_before_there_were_seals_is_believed(
    tmp_path: Path, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    store = FolderStore(tmp_path / "store")
    manifest = Publisher(store).publish(make_outcome(), make_files())
    store.put_bytes(KEY, manifest.model_dump_json().encode(), JSON)
    assert Publisher(store).publish(make_outcome(2), make_files(2)) == manifest


class WriteOnce(FolderStore):
    """A bucket under an object lock: what is there stays."""

    def put_bytes(self, key: str, data: bytes, content_type: str) -> None:
        raise StorageFailed(f"{key} is locked")


def test_where_nothing_may_be_overwritten_a_job_keeps_its_result_beside_the_damage(
    tmp_path: Path, make_outcome: MakeOutcome, make_files: MakeFiles, caplog: pytest.LogCaptureFixture
) -> None:
    FolderStore(tmp_path / "store").put_bytes(KEY, b"{", JSON)
    publisher = Publisher(WriteOnce(tmp_path / "store"))
    manifest = publisher.publish(make_outcome(2), make_files(2))
    assert publisher.publish(make_outcome(3), make_files(3)) == publisher.find("job-1") == manifest
    assert f"! {KEY} is locked" in caplog.text


class SlowDisk(FolderStore):
    """A disk that damages the first manifest put on it; `meanwhile` happens before its owner may look."""

    meanwhile: Callable[[], object] | None = None

    def put_if_absent(self, key: str, data: bytes, content_type: str) -> bool:
        if self.meanwhile is None:
            return super().put_if_absent(key, data, content_type)
        put, act, self.meanwhile = super().put_if_absent(key, data[:-9], content_type), self.meanwhile, None
        act()
        return put


def test_who_put_a_damaged_manifest_bows_to_who_came_meanwhile(
    tmp_path: Path, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    store = SlowDisk(tmp_path / "store")
    results: list[Manifest] = []
    store.meanwhile = lambda: results.append(Publisher(store).publish(make_outcome(2), make_files(2)))
    assert Publisher(store).publish(make_outcome(1), make_files(1)) == results[0]
    assert (results[0].fence, store.get_bytes(KEY)) == (2, results[0].to_json())
    assert not list(store.list("jobs/job-1/1/")), "his files are gone"


def test_what_a_newer_version_put_in_place_of_a_damaged_manifest_is_not_written_over(
    tmp_path: Path, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    store, newer = SlowDisk(tmp_path / "store"), sealed({"schema_version": 99, "job_id": "job-1"})
    store.meanwhile = lambda: store.put_bytes(KEY, newer, JSON)
    with pytest.raises(StorageFailed, match="its version is 99"):
        Publisher(store).publish(make_outcome(1), make_files(1))
    assert store.get_bytes(KEY) == newer


def test_what_is_whole_and_no_manifest_of_this_job_is_neither_believed_nor_passed_over(
    tmp_path: Path, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    store = FolderStore(tmp_path / "store")
    publisher = Publisher(store)
    manifest = publisher.publish(make_outcome(), make_files())
    elsewhere = manifest.model_dump(mode="json")["files"]["video"] | {"key": "jobs/other/1/video.mp4"}
    foreign = {
        changed(manifest, schema_version=2): "its version is 2, and this program reads 1; upgrade",
        changed(manifest, unheard_of=1): "it is not a manifest",
        changed(manifest, fence=2): "it is not a manifest",
        changed(manifest, files={}): "it is not a manifest",
        changed(manifest, files={"video": elsewhere}): "it is not a manifest",
        sealed(json.loads(manifest.model_dump_json().replace("job-1", "job-2"))): "it tells of job job-2",
    }
    for text, why in foreign.items():
        store.put_bytes(KEY, text, JSON)
        for operation in (
            lambda: publisher.find("job-1"),
            lambda: publisher.publish(make_outcome(5), make_files(5)),
            lambda: publisher.discard("job-1", 1),
        ):
            with pytest.raises(StorageFailed, match=f"{KEY} in .* cannot be trusted: {why}.*, or delete it to let"):
                operation()
        assert store.get_bytes(KEY) == text
        assert set(store.list("jobs/")) == {KEY, *(file.key for file in manifest.files.values())}


class BadLine(FolderStore):
    """A store at the end of a line that cuts off so many manifests on their way here."""

    cuts: tuple[int, ...] = ()

    def get_bytes(self, key: str, *on_progress: Callable[[], None]) -> bytes | None:
        text = super().get_bytes(key, *on_progress)
        if text is None or not key.endswith(".json") or not self.cuts:
            return text
        cut, *rest = self.cuts
        self.cuts = tuple(rest)
        return text[:-cut]


def test_a_manifest_damaged_on_the_way_here_is_read_again(
    tmp_path: Path, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    store = BadLine(tmp_path / "store")
    manifest = Publisher(store).publish(make_outcome(), make_files())
    store.cuts = (5, 6)
    assert Publisher(store).find("job-1") == manifest
    store.cuts = (5, 6, 7, 8)
    with pytest.raises(StorageFailed, match=f"{KEY} in .* reads differently each time"):
        Publisher(store).publish(make_outcome(2), make_files(2))
    assert [key for key in store.list("jobs/") if key.endswith(".json")] == [KEY]


class FlippingManifests(FolderStore):
    """A disk that flips a bit of so many manifests that are put on it, in its form or in what it says."""

    def __init__(self, root: Path, flips: int, old: bytes) -> None:
        super().__init__(root)
        self.flips, self.old = flips, old

    def put_if_absent(self, key: str, data: bytes, content_type: str) -> bool:
        return super().put_if_absent(key, self._flipped(data), content_type)

    def put_bytes(self, key: str, data: bytes, content_type: str) -> None:
        super().put_bytes(key, self._flipped(data), content_type)

    def _flipped(self, data: bytes) -> bytes:
        self.flips -= 1
        return data.replace(self.old, bytes([self.old[0] ^ 1]) + self.old[1:], 1) if self.flips >= 0 else data


@pytest.mark.parametrize("old", [b"{", b"job-1"])
def test_a_manifest_that_arrives_damaged_is_put_again(
    tmp_path: Path, make_outcome: MakeOutcome, make_files: MakeFiles, old: bytes
) -> None:
    publisher = Publisher(FlippingManifests(tmp_path / "store", 2, old))
    manifest = publisher.publish(make_outcome(1), make_files(1))
    assert Publisher(FolderStore(tmp_path / "store")).find("job-1") == manifest
    assert (tmp_path / "store" / KEY).read_bytes() == manifest.to_json()
    with pytest.raises(
        StorageFailed, match=r"is not what was uploaded|is damaged, and so is whatever was put beside it"
    ):
        Publisher(FlippingManifests(tmp_path / "other", 99, old)).publish(make_outcome(1), make_files(1))
    assert len(list((tmp_path / "other" / "jobs" / "job-1").glob("*.json"))) <= len(NAMES)


@pytest.mark.parametrize("remarks", [(), ("only the first 32 of the prompt's 52 tokens were read",)])
def test_remarks_are_there_only_if_there_are_any(
    store: Store, make_outcome: MakeOutcome, make_files: MakeFiles, remarks: tuple[str, ...]
) -> None:
    """A reader of a version before refuses a field that it does not know."""
    publisher = Publisher(store)
    manifest = publisher.publish(make_outcome(2).model_copy(update={"remarks": remarks}), make_files(2))
    assert publisher.find("job-1") == manifest
    assert manifest.remarks == remarks
    assert ("remarks" in json.loads(store.get_bytes(KEY) or b"")) == bool(remarks)
    assert ("remarks" in manifest.model_dump(mode="json")) == bool(remarks)
