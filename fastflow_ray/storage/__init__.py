"""Where results live: a folder or any S3 endpoint behind one contract, and their publication. Knows no queue."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from fastflow_ray.errors import InvalidInput
from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.folder import FolderStore

__all__ = ["Store", "open_store"]


def open_store(url: str) -> Store:
    """The store behind `file:///folder` or `s3://bucket/prefix`; nothing is touched before its first use.

    An S3 endpoint, its region and its keys come from boto3's own settings (AWS_ENDPOINT_URL_S3, AWS_PROFILE, …).
    Raises InvalidInput for any other URL.
    """
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise InvalidInput("a store URL carries no keys; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead")
    if parts.query or parts.fragment:
        raise InvalidInput(
            f"the store URL {url!r} has a '?' or '#'; a store is only a place, such as s3://bucket/films"
        )
    match parts.scheme, parts.netloc, parts.path:
        case "file", "" | "localhost", path if path:
            return FolderStore(Path(unquote(path)))
        case "s3", bucket, path if bucket:
            from fastflow_ray.storage.s3 import S3Store  # boto3 takes half a second that folder users need not wait

            return S3Store(bucket, path.strip("/"))
    raise InvalidInput(f"cannot open the store {url!r}; use file:///absolute/folder or s3://bucket/prefix")
