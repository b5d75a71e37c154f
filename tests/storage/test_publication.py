"""Each job publishes exactly one result, whatever happens on the way."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_s3_server import OddS3
from pydantic import ValidationError

from fastflow_ray.errors import InvalidInput, LeaseLost, StorageFailed
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.storage import open_store
from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.folder import FolderStore
from fastflow_ray.storage.publication import AskedPace, Audit, Manifest, Outcome, Publisher
from fastflow_ray.storage.seal import unsealed

MakeOutcome = Callable[..., Outcome]
MakeFiles = Callable[..., dict[str, tuple[Path, str]]]
ATTEMPTS = 8


def test_a_published_result_is_what_was_made(store: Store, make_outcome: MakeOutcome, make_files: MakeFiles) -> None:
    publisher, files = Publisher(store), make_files(7)
    manifest = publisher.publish(make_outcome(7), files)
    assert manifest.files["video"].key == "jobs/job-1/7/video.mp4"
    assert manifest.files["thumbnail"].content_type == "image/png"
    for name, (path, _) in files.items():
        stored = manifest.files[name]
        assert store.get_bytes(stored.key) == path.read_bytes()
        assert stored.size == path.stat().st_size
        assert stored.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert publisher.find("job-1") == manifest
    assert unsealed(store.get_bytes("jobs/job-1/result.json") or b"") == manifest.model_dump(mode="json")


def test_a_job_without_a_result_has_none(store: Store) -> None:
    assert Publisher(store).find("job-1") is None


def test_a_later_attempt_gets_the_first_result(store: Store, make_outcome: MakeOutcome, make_files: MakeFiles) -> None:
    publisher = Publisher(store)
    first = publisher.publish(make_outcome(1), make_files(1))
    before = list(store.list("jobs/"))
    assert publisher.publish(make_outcome(2), make_files(2)) == first
    assert list(store.list("jobs/")) == before


def test_the_same_attempt_may_publish_twice(store: Store, make_outcome: MakeOutcome, make_files: MakeFiles) -> None:
    publisher = Publisher(store)
    first = publisher.publish(make_outcome(1), make_files(1))
    assert publisher.publish(make_outcome(1, created_s=9.0), make_files(2)) == first
    assert store.get_bytes(first.files["video"].key) == make_files(1)["video"][0].read_bytes()


@pytest.mark.parametrize("before", [{}, {"jobs/job-1/result.json": b"{"}], ids=["alone", "beside a damaged one"])
def test_of_many_attempts_one_is_the_result(
    store: Store, make_outcome: MakeOutcome, make_files: MakeFiles, before: dict[str, bytes]
) -> None:
    for key, damaged in before.items():
        store.put_bytes(key, damaged, "application/json")
    start = threading.Barrier(ATTEMPTS)
    files = {fence: make_files(fence) for fence in range(1, ATTEMPTS + 1)}

    def attempt(fence: int) -> Manifest:
        start.wait(timeout=20)
        return Publisher(store).publish(make_outcome(fence), files[fence])

    with ThreadPoolExecutor(ATTEMPTS) as pool:
        results = list(pool.map(attempt, files))
    winner = results[0]
    assert all(result == winner for result in results)
    kept = set(store.list("jobs/"))
    manifests = {"jobs/job-1/result.json", *(["jobs/job-1/result-2.json"] if before else [])}
    assert kept == manifests | {file.key for file in winner.files.values()}
    assert {store.get_bytes(key) for key in manifests} == {winner.to_json()}, "whoever looks there finds the same"


def test_discard_takes_an_attempt_but_never_the_result(
    store: Store, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    publisher = Publisher(store)
    store.put_bytes("jobs/job-1/2/video.mp4", b"half done", "video/mp4")
    store.put_bytes("jobs/job-1/22/video.mp4", b"another attempt", "video/mp4")
    assert publisher.discard("job-1", 2) == 1
    manifest = publisher.publish(make_outcome(1), make_files(1))
    assert publisher.discard("job-1", 1) == 0
    assert publisher.discard("job-1", 22) == 1
    assert publisher.find("job-1") == manifest


class FlippingDisk(FolderStore):
    """A disk that flips a bit of every file copied to it, without a word."""

    def put_file(self, key: str, path: Path, content_type: str, *on_progress: object) -> None:
        data = path.read_bytes()
        self.put_bytes(key, bytes([data[0] ^ 1]) + data[1:], content_type)


class TruncatingDisk(FolderStore):
    """A disk that loses the end of every file copied to it, without a word."""

    def put_file(self, key: str, path: Path, content_type: str, *on_progress: object) -> None:
        self.put_bytes(key, path.read_bytes()[:-1], content_type)


@pytest.mark.parametrize("disk", [FlippingDisk, TruncatingDisk])
def test_a_damaged_file_is_never_published(
    disk: type[FolderStore], tmp_path: Path, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    root = tmp_path / "store"
    with pytest.raises(StorageFailed, match=r"jobs/job-1/1/video.mp4 in file://.* is not what was uploaded"):
        Publisher(disk(root)).publish(make_outcome(), make_files())
    assert list(root.iterdir()) == []


def test_a_damaged_upload_is_never_published(odd: OddS3, make_outcome: MakeOutcome, make_files: MakeFiles) -> None:
    odd.flips_a_bit = True
    publisher = Publisher(open_store("s3://films"))
    with pytest.raises(StorageFailed, match="is not what was uploaded"):
        publisher.publish(make_outcome(), make_files())
    assert odd.objects == {}
    odd.flips_a_bit = False
    assert publisher.publish(make_outcome(2), make_files(2)).fence == 2


def test_a_manifest_whose_answer_was_lost_is_still_ours(
    odd: OddS3, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    odd.conditions, odd.loses_answers_to = "honoured", "result.json"
    manifest = Publisher(open_store("s3://films")).publish(make_outcome(3), make_files(3))
    assert not odd.loses_answers_to, "the fault has struck"
    assert manifest.fence == 3
    assert sorted(odd.objects) == [
        "jobs/job-1/3/thumbnail.png",
        "jobs/job-1/3/video.mp4",
        "jobs/job-1/result.json",
    ]


def test_a_server_without_conditions_still_publishes_once(
    odd: OddS3, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    store = open_store("s3://films")
    store.check()
    first = Publisher(store).publish(make_outcome(1), make_files(1))
    assert Publisher(store).publish(make_outcome(2), make_files(2)) == first


def test_what_dead_attempts_left_goes_when_a_later_one_completed(
    store: Store, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    publisher = Publisher(store)
    for key in ("jobs/job-1/1/video.mp4", "jobs/job-1/11/video.mp4", "jobs/job-2/1/video.mp4"):
        store.put_bytes(key, b"all there is of it", "video/mp4")
    winner = publisher.publish(make_outcome(9), make_files(9))
    ours = {"jobs/job-1/result.json", *(file.key for file in winner.files.values())}
    assert publisher.tidy(winner, 10) == 1
    assert {*store.list("")} == ours | {"jobs/job-1/11/video.mp4", "jobs/job-2/1/video.mp4"}
    assert publisher.tidy(winner, 9) == 0


def test_a_file_that_was_being_written_goes_too(
    tmp_path: Path, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    publisher = Publisher(FolderStore(tmp_path / "store"))
    part = tmp_path / "store/jobs/job-1/1/.0f.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half of it")
    assert publisher.tidy(publisher.publish(make_outcome(2), make_files(2)), 2) == 0
    assert not part.parent.exists()


def test_without_conditions_an_attempt_thought_dead_keeps_its_files(
    odd: OddS3, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    store = open_store("s3://films")
    store.check()
    store.put_bytes("jobs/job-1/1/video.mp4", b"it may yet win", "video/mp4")
    publisher = Publisher(store)
    assert publisher.tidy(publisher.publish(make_outcome(2), make_files(2)), 2) == 0
    assert store.get_bytes("jobs/job-1/1/video.mp4") == b"it may yet win"


def test_who_ends_an_upload_leaves_nothing_of_it(
    tmp_path: Path, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    store = FolderStore(tmp_path / "store")
    signs: list[list[str]] = []

    def end_it() -> None:
        signs.append(list(store.list("")))
        if len(signs) == 7:
            raise LeaseLost("somebody else has it")

    with pytest.raises(LeaseLost):
        Publisher(store).publish(make_outcome(), make_files(), end_it)
    assert [len(there) for there in signs] == [0, 0, 1, 1, 1, 1, 2], (
        "before and as each is sent, before and as it is read back"
    )
    assert not list(store.list(""))


def test_a_result_whose_file_is_gone_is_no_result(
    store: Store, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    publisher = Publisher(store)
    publisher.publish(make_outcome(), make_files())
    store.delete_prefix("jobs/job-1/1/thumbnail.png")
    with pytest.raises(
        StorageFailed, match=r"jobs/job-1/1/thumbnail.png has no bytes instead of \d+; delete each jobs"
    ):
        publisher.find("job-1")


@pytest.mark.parametrize("job_id", ["", "..", "a/b", "../a", "a.b", "-a", "a" * 129, "a\n"])
def test_what_is_no_job_id_is_refused(tmp_path: Path, job_id: str, make_outcome: MakeOutcome) -> None:
    publisher = Publisher(FolderStore(tmp_path))
    for operation in (publisher.find, lambda job_id: publisher.discard(job_id, 1)):
        with pytest.raises(InvalidInput, match="is not a job id"):
            operation(job_id)
    with pytest.raises(ValidationError, match="is not a job id"):
        make_outcome(job_id=job_id)


def test_a_file_name_stays_in_the_attempts_folder(
    tmp_path: Path, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    publisher = Publisher(FolderStore(tmp_path / "store"))
    for name in ("../video", "a/b", "", "Video"):
        with pytest.raises(InvalidInput, match="cannot name a file of a result"):
            publisher.publish(make_outcome(), {name: make_files()["video"]})


def test_a_manifest_of_before_plans_were_written_down_is_read(
    tmp_path: Path, make_outcome: MakeOutcome, make_files: MakeFiles
) -> None:
    publisher = Publisher(FolderStore(tmp_path / "store"))
    published = publisher.publish(make_outcome(), make_files())
    old = published.model_dump(mode="json")
    for name in ("pace", "plan", "snapshot", "expected_fidelity_db", "frames_sha256"):
        assert old.pop(name) is None
    del old["evaluations"]["added"]
    assert Manifest.model_validate(old) == published


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # which only makes values
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=2))
def test_a_plan_keeps_every_bit_in_a_manifest(make_outcome: MakeOutcome, weights: list[float]) -> None:
    plan = Plan(6, (0, 1, 2, 4), {3: tuple(weights), 5: tuple(weights)}, {4: tuple(weights)})
    outcome = make_outcome(plan=plan.to_dict())
    once, again = (
        Outcome.model_validate_json(text)
        for text in (outcome.model_dump_json(), json.dumps(outcome.model_dump(mode="json")))
    )
    assert once.plan is not None
    assert again.plan is not None
    assert Plan.from_dict(once.plan) == Plan.from_dict(again.plan) == plan


def test_what_was_asked_is_written_without_gaps(make_outcome: MakeOutcome) -> None:
    asked = AskedPace.of(VideoJob(prompt="x"))
    assert make_outcome(pace=asked).model_dump(mode="json")["pace"] == {"speedup": 2.6}
    assert AskedPace.of(VideoJob(prompt="x", acceleration="off")) is None


def test_an_infinite_psnr_survives_json(tmp_path: Path, make_outcome: MakeOutcome, make_files: MakeFiles) -> None:
    outcome = make_outcome(audit=Audit(psnr_db=math.inf, ssim=1.0, full_nfe=8, full_sample_s=0.5))
    publisher = Publisher(FolderStore(tmp_path / "store"))
    published = publisher.publish(outcome, make_files())
    assert published.audit is not None
    assert published.audit.psnr_db is None
    assert publisher.find("job-1") == published
    with pytest.raises(ValidationError):
        Audit(psnr_db=math.nan, ssim=1.0, full_nfe=8, full_sample_s=0.5)
