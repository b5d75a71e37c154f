"""What can go wrong with S3, and what people are told then."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import boto3
import pytest
from leaks import ClosedAfter
from odd_s3_server import OddS3

from fastflow_ray.errors import StorageFailed
from fastflow_ray.storage import open_store
from fastflow_ray.storage.s3 import CONTENTION_ATTEMPTS

BUCKET = "films"
SECRET = "this-is-the-secret-key"  # as the fixture aws_settings has it

REFUSALS = {
    "AccessDenied": (403, "access denied; grant this identity s3:GetObject"),
    "InvalidAccessKeyId": (403, "does not know the access key; check AWS_ACCESS_KEY_ID"),
    "SignatureDoesNotMatch": (403, "the secret key does not fit"),
    "ExpiredToken": (400, "credentials have expired; renew them"),
    "NoSuchBucket": (404, r"no bucket 'films' at http://127.0.0.1:\d+; create it \(aws s3 mb s3://films\)"),
    "AuthorizationHeaderMalformed": (400, "another region; set AWS_DEFAULT_REGION"),
    "InsufficientStorage": (400, r"answers InsufficientStorage \(HTTP 400\) to PutObject; see the server's log"),
}


def test_a_real_server_honours_conditions(s3_url: str) -> None:
    store = open_store(s3_url)
    store.check()
    assert store.conditional


@pytest.mark.parametrize("conditions", ["ignored", "unknown"])
def test_a_server_without_conditions_is_found_out_and_still_serves(odd: OddS3, conditions: str) -> None:
    odd.conditions = conditions
    store = open_store("s3://films/a")
    store.check()
    assert not store.conditional
    assert store.put_if_absent("x", b"first", "text/plain")
    assert not store.put_if_absent("x", b"second", "text/plain")
    assert odd.objects == {"a/x": b"first"}


def test_a_missing_bucket_is_named_with_the_remedy(s3_url: str) -> None:
    with pytest.raises(StorageFailed, match=r"no bucket 'nowhere' at http://localhost:\d+; create it"):
        open_store("s3://nowhere/a").check()


def test_every_refusal_has_its_remedy_and_no_secret(odd: OddS3) -> None:
    store = open_store("s3://films/a")
    for code, (status, remedy) in REFUSALS.items():
        odd.refuse_all = (status, code)
        with pytest.raises(StorageFailed, match=remedy) as failure:
            store.check()
        assert SECRET not in str(failure.value)


def test_a_read_that_is_refused_is_not_an_absence(odd: OddS3) -> None:
    odd.refuse_all = (403, "AccessDenied")
    store = open_store("s3://films/a")
    for read in (store.get_bytes, store.size):
        with pytest.raises(StorageFailed, match="access denied"):
            read("x")


def test_without_credentials_the_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = open_store("s3://films/a")
    for operation in (store.check, lambda: store.link("x")):
        with pytest.raises(StorageFailed, match="no credentials; set AWS_ACCESS_KEY_ID"):
            operation()


def test_a_profile_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StorageFailed, match="correct AWS_PROFILE"):
        open_store("s3://films/a")


def test_a_silent_endpoint_is_named_without_its_login(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, so that nobody else takes it; not listening, so that it refuses
        port = closed.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://user:{SECRET}@127.0.0.1:{port}")
        with pytest.raises(StorageFailed, match=rf"http://127.0.0.1:{port} does not answer") as failure:
            open_store("s3://films/a").size("x")
    assert SECRET not in str(failure.value)


@pytest.mark.parametrize("endpoint", ["not a url", "ftp:/"])
def test_an_endpoint_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    with pytest.raises(StorageFailed, match="AWS_ENDPOINT_URL_S3"):
        open_store("s3://films/a").size("x")


def test_a_bucket_that_cannot_be_one_is_told(odd: OddS3) -> None:
    with pytest.raises(StorageFailed, match="'no bucket' cannot name a bucket"):
        open_store("s3://no bucket/a").check()


def test_a_server_that_flips_bits_does_not_pass_the_check(odd: OddS3, monkeypatch: pytest.MonkeyPatch) -> None:
    odd.flips_a_bit = True
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", odd.endpoint.replace("//", f"//user:{SECRET}@"))
    with pytest.raises(StorageFailed, match=f"does not hold what is written to it; is {odd.endpoint} an S3") as failure:
        open_store("s3://films/a").check()
    assert SECRET not in str(failure.value)
    assert odd.objects == {}


def test_a_busy_server_is_asked_again(odd: OddS3) -> None:
    odd.refuse_next = [(503, "SlowDown"), (500, "InternalError")]
    open_store("s3://films/a").put_bytes("x", b"x", "text/plain")
    assert odd.objects == {"a/x": b"x"}


def test_a_contended_conditional_write_is_tried_again(odd: OddS3) -> None:
    odd.conditions = "honoured"
    store = open_store("s3://films/a")
    store.put_bytes("taken", b"first", "text/plain")
    odd.refuse_next = [(404, "NotFound"), (409, "ConditionalRequestConflict"), (409, "ConditionalRequestConflict")]
    assert store.put_if_absent("x", b"x", "text/plain")
    odd.refuse_next = [(404, "NotFound"), (409, "ConditionalRequestConflict")]
    assert not store.put_if_absent("taken", b"second", "text/plain")
    assert odd.objects == {"a/taken": b"first", "a/x": b"x"}


def test_contention_without_end_is_a_failure(odd: OddS3) -> None:
    odd.refuse_next = [(404, "NotFound")] + [(409, "ConditionalRequestConflict")] * CONTENTION_ATTEMPTS
    with pytest.raises(StorageFailed, match="ConditionalRequestConflict"):
        open_store("s3://films/a").put_if_absent("x", b"x", "text/plain")
    assert odd.objects == {}


def test_parts_of_a_dead_upload_are_swept(s3_url: str, closed_after: ClosedAfter) -> None:
    prefix = s3_url.removeprefix(f"s3://{BUCKET}/")
    client = closed_after(boto3.session.Session().client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"]))
    for name in (f"{prefix}/jobs/1/5/video.mp4", f"{prefix}/jobs/2/5/video.mp4"):
        upload = client.create_multipart_upload(Bucket=BUCKET, Key=name)["UploadId"]
        client.upload_part(Bucket=BUCKET, Key=name, UploadId=upload, PartNumber=1, Body=b"part")
    store = open_store(s3_url)
    assert store.delete_prefix("jobs/", lambda key: True) == 0
    assert len(client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)["Uploads"]) == 2
    assert store.delete_prefix("jobs/1/") == 0
    left = client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)["Uploads"]
    assert [upload["Key"] for upload in left] == [f"{prefix}/jobs/2/5/video.mp4"]


def test_the_content_type_is_kept(s3_url: str, tmp_path: Path, closed_after: ClosedAfter) -> None:
    store = open_store(s3_url)
    (tmp_path / "x.mp4").write_bytes(b"x")
    store.put_file("x.mp4", tmp_path / "x.mp4", "video/mp4")
    store.put_if_absent("x.json", b"{}", "application/json")
    prefix = s3_url.removeprefix(f"s3://{BUCKET}/")
    client = closed_after(boto3.session.Session().client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"]))
    for key, content_type in {"x.mp4": "video/mp4", "x.json": "application/json"}.items():
        assert client.head_object(Bucket=BUCKET, Key=f"{prefix}/{key}")["ContentType"] == content_type


def test_a_link_is_signed_for_its_time_and_tells_no_secret(odd: OddS3) -> None:
    link = open_store("s3://films/a").link("x.mp4", expires_s=60)
    assert link.startswith(f"{odd.endpoint}/films/a/x.mp4?X-Amz-Algorithm=AWS4-HMAC-SHA256")
    assert "X-Amz-Expires=60" in link
    assert SECRET not in link
