"""A store in a bucket of any server that speaks S3. Endpoint, region and keys are boto3's own settings."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from fastflow_ray.errors import StorageFailed
from fastflow_ray.storage.keys import checked_doomed_prefix, checked_key, checked_prefix
from fastflow_ray.storage.parts import parts_of
from fastflow_ray.storage.s3_errors import error_code, explanation, without_login

# At worst a dead server costs about four times 5 s, a silent one about four times 20 s, before StorageFailed.
PATIENCE = Config(
    connect_timeout=5,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 4},
    signature_version="s3v4",
)
ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
EXISTED = frozenset({"412", "PreconditionFailed"})
CONTENDED = frozenset({"409", "ConditionalRequestConflict"})  # another conditional write to the key was under way
NO_CONDITIONS = frozenset({"501", "NotImplemented"})
CANNOT_SWEEP = frozenset({"AccessDenied", "NotImplemented", "MethodNotAllowed", "403", "405", "501", "NoSuchUpload"})
CONTENTION_ATTEMPTS = 8


class S3Store:
    """Values as objects below `s3://bucket/prefix`; safe to share between threads.

    `put_if_absent` is atomic where the server honours `If-None-Match: *`, which `check` finds out. Elsewhere it looks
    before it writes, and of several writers at once more than one may get True.
    """

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self.bucket = bucket
        self.prefix = f"{checked_key(prefix)}/" if prefix else ""
        self.url = f"s3://{bucket}/{self.prefix}".rstrip("/")
        self.conditional = True
        self._endpoint = ""
        with self._explained("open"):
            self._client: Any = Session().client("s3", config=PATIENCE)
            self._endpoint = without_login(self._client.meta.endpoint_url)

    def check(self) -> None:
        """Write, read back and delete an object, and see whether the server refuses to overwrite it on condition.

        Raises StorageFailed with the remedy; sets `conditional`.
        """
        key, value = f"check/{uuid.uuid4().hex}", b"fastflow-ray was here"
        try:
            self.put_bytes(key, value, "text/plain")
            if self.get_bytes(key) != value:
                raise StorageFailed(
                    f"{self.url} does not hold what is written to it; is {self._endpoint} an S3 server?"
                )
            self.conditional = self._refuses_to_overwrite(key)
        finally:
            with contextlib.suppress(StorageFailed):  # the first failure tells more
                self.delete_prefix(key)
        if self.size(key) is not None:
            raise StorageFailed(f"cannot delete from {self.url}; grant s3:DeleteObject")

    def put_file(self, key: str, path: Path, content_type: str, on_progress: Callable[[], None] = lambda: None) -> None:
        """Upload the file, a big one in parts; an upload that fails leaves no parts behind."""
        about = {"ContentType": content_type}
        with self._explained("write", key), path.open("rb") as source:
            self._client.upload_fileobj(
                source, self.bucket, self._name(key), about, Callback=lambda bytes_sent: on_progress()
            )

    def put_bytes(self, key: str, data: bytes, content_type: str) -> None:
        """Upload the bytes."""
        with self._explained("write", key):
            self._put(key, data, content_type)

    def put_if_absent(self, key: str, data: bytes, content_type: str) -> bool:
        """Write unless the key exists. False may also mean that our own write arrived and its answer was lost."""
        # On a server without conditional writes this look is the only guard.
        if self.size(key) is not None:
            return False
        if not self.conditional:
            self.put_bytes(key, data, content_type)
            return True
        with self._explained("write", key):
            return self._put_new(key, data, content_type)

    def get_bytes(self, key: str, on_progress: Callable[[], None] = lambda: None) -> bytes | None:
        """The value, or None."""
        with self._explained("read", key):
            try:
                found = self._client.get_object(Bucket=self.bucket, Key=self._name(key))
            except ClientError as error:
                if error_code(error) in ABSENT:
                    return None
                raise
            with closing(found["Body"]) as body:
                return b"".join(parts_of(body, on_progress))

    def size(self, key: str) -> int | None:
        """Bytes stored, or None."""
        with self._explained("read", key):
            try:
                size: int = self._client.head_object(Bucket=self.bucket, Key=self._name(key))["ContentLength"]
            except ClientError as error:
                if error_code(error) in ABSENT:
                    return None
                raise
            return size

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with the prefix, sorted."""
        pages = self._pages("list_objects_v2", checked_prefix(prefix))
        return (item["Key"].removeprefix(self.prefix) for page in pages for item in page.get("Contents", ()))

    def delete_prefix(self, prefix: str, spared: Callable[[str], bool] = lambda key: False) -> int:
        """Delete the keys, and the parts of uploads that dead writers never finished."""
        deleted = 0
        for page in self._pages("list_objects_v2", checked_doomed_prefix(prefix)):
            items = (item["Key"] for item in page.get("Contents", ()))
            names = [{"Key": name} for name in items if not spared(name.removeprefix(self.prefix))]
            if names:
                self._delete(names)
            deleted += len(names)
        self._abort_uploads(prefix, spared)
        return deleted

    def link(self, key: str, expires_s: int = 3600) -> str:
        """A presigned URL, good for `expires_s` seconds (S3 allows a week)."""
        request = {"Bucket": self.bucket, "Key": self._name(key)}
        with self._explained("sign a link to", key):
            url: str = self._client.generate_presigned_url("get_object", Params=request, ExpiresIn=expires_s)
            return url

    def close(self) -> None:
        """Close the pool; the next request opens it again."""
        self._client.close()

    def _name(self, key: str) -> str:
        return self.prefix + checked_key(key)

    def _put(self, key: str, data: bytes, content_type: str, **condition: str) -> None:
        self._client.put_object(
            Bucket=self.bucket, Key=self._name(key), Body=data, ContentType=content_type, **condition
        )

    def _put_new(self, key: str, data: bytes, content_type: str, attempts: int = CONTENTION_ATTEMPTS) -> bool:
        try:
            self._put(key, data, content_type, IfNoneMatch="*")
        except ClientError as error:
            if error_code(error) in EXISTED:
                return False
            if error_code(error) in CONTENDED and attempts > 1:
                return self._put_new(key, data, content_type, attempts - 1)
            raise
        return True

    def _refuses_to_overwrite(self, key: str) -> bool:
        with self._explained("write", key):
            try:
                return not self._put_new(key, b"overwritten", "text/plain")
            except ClientError as error:
                if error_code(error) in NO_CONDITIONS:
                    return False
                raise

    def _pages(self, operation: str, prefix: str) -> Iterator[Any]:
        with self._explained("list", prefix):
            yield from self._client.get_paginator(operation).paginate(Bucket=self.bucket, Prefix=self.prefix + prefix)

    def _delete(self, names: Sequence[dict[str, str]]) -> None:
        with self._explained("delete in"):
            answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": names, "Quiet": True})
        for refusal in answer.get("Errors", ()):
            raise StorageFailed(
                f"cannot delete {refusal['Key']} in {self.url}: {refusal['Code']}; grant s3:DeleteObject"
            )

    def _abort_uploads(self, prefix: str, spared: Callable[[str], bool]) -> None:
        uploads = self._client.get_paginator("list_multipart_uploads")
        with self._explained("clear up", prefix):
            try:
                for page in uploads.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix):
                    for upload in page.get("Uploads", ()):
                        place = {"Bucket": self.bucket, "Key": upload["Key"]}
                        if not spared(upload["Key"].removeprefix(self.prefix)):
                            self._client.abort_multipart_upload(**place, UploadId=upload["UploadId"])
            except ClientError as error:
                # Not every server lists uploads, nor every role may; a lifecycle rule of the bucket sweeps them then.
                if error_code(error) not in CANNOT_SWEEP:
                    raise

    @contextmanager
    def _explained(self, doing: str, key: str = "") -> Iterator[None]:
        """Turn boto3's errors into StorageFailed with a remedy."""
        try:
            yield
        except (BotoCoreError, ClientError, ResponseParserError, OSError, ValueError) as error:
            place = f"s3://{self.bucket}/{self.prefix}{key}"
            raise StorageFailed(f"cannot {doing} {place}: {explanation(error, self.bucket, self._endpoint)}") from error
