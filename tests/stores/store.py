"""What a test sees of a store: its address, what it can do, and a bucket to look into.

The bucket is read through boto3, so that no code of s3pp vouches for itself.
"""

from __future__ import annotations

import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config

from stores.features import features_of
from stores.packed import pack, unpack


@dataclass(frozen=True)
class Store:
    """An S3 endpoint and credentials for it."""

    name: str
    url: str
    access_key: str
    secret_key: str
    checks_signatures: bool
    region: str = "us-east-1"

    @property
    def features(self) -> frozenset[str]:
        """What it has, of ``stores.features.FEATURES``."""
        return features_of(self.name)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that give a command these credentials."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def client(self) -> Any:
        """A boto3 client for this store."""
        session = boto3.Session(self.access_key, self.secret_key, region_name=self.region)
        config = Config(
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
            retries={"mode": "standard"},
        )
        return session.client("s3", endpoint_url=self.url, config=config, verify=False)

    def bucket(self, name: str | None = None) -> Bucket:
        """A fresh bucket with a name of its own, in which no rule for a key such as "e2" occurs."""
        bucket = Bucket(self, name or f"test-{uuid.uuid4().int % 10**15:015d}")
        bucket.client.create_bucket(Bucket=bucket.name)
        return bucket


@lru_cache
def _client(store: Store) -> Any:
    # Making one costs as much as a run of s3pp, and any number of threads may use it.
    return store.client()


@dataclass(frozen=True)
class Bucket:
    """A bucket on a store, as the tests look at it."""

    store: Store
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    @property
    def client(self) -> Any:
        return _client(self.store)

    def put(self, key: str, body: bytes, **settings: Any) -> str:
        """Put an object, return its ETag."""
        answer = self.client.put_object(Bucket=self.name, Key=key, Body=body, **settings)
        return str(answer["ETag"]).strip('"')

    def put_multipart(self, key: str, *parts: bytes) -> str:
        """Put an object in parts, so that its ETag is no MD5; return that ETag."""
        at = {"Bucket": self.name, "Key": key}
        upload = self.client.create_multipart_upload(**at)["UploadId"]
        done = []
        for number, part in enumerate(parts, 1):
            one = {"UploadId": upload, "PartNumber": number, "Body": part}
            done.append(
                {"PartNumber": number, "ETag": self.client.upload_part(**at, **one)["ETag"]}
            )
        self.client.complete_multipart_upload(
            **at, UploadId=upload, MultipartUpload={"Parts": done}
        )
        return str(self.head(key)["ETag"]).strip('"')  # not every store answers it above

    def fill(self, objects: Mapping[str, bytes]) -> None:
        """Put thousands of small objects at once."""
        if self.store.name != "moto":
            for key, body in objects.items():
                self.put(key, body)
            return
        self._all_at_once("fill", pack(objects))

    def get(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return body

    def head(self, key: str, **settings: Any) -> dict[str, Any]:
        """boto3's ``head_object`` response."""
        answer: dict[str, Any] = self.client.head_object(Bucket=self.name, Key=key, **settings)
        return answer

    def keys(self) -> list[str]:
        """All keys, in the order the store lists them."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def tree(self) -> dict[str, bytes]:
        """Every object's bytes by key."""
        if self.store.name != "moto":
            return {key: self.get(key) for key in self.keys()}
        return unpack(self._all_at_once("tree"))

    def _all_at_once(self, what: str, body: bytes | None = None) -> bytes:
        """What ``stores.moto`` does for all objects in one request."""
        url = f"{self.store.url}/__{what}/{self.name}"
        with urllib.request.urlopen(url, body, timeout=60) as answer:
            found: bytes = answer.read()
        return found

    def tags(self, key: str) -> dict[str, str]:
        found = self.client.get_object_tagging(Bucket=self.name, Key=key)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def acl(self, key: str) -> set[tuple[str, str]]:
        """Who may do what: ``{("<group or owner>", "READ"), ...}``."""
        grants = self.client.get_object_acl(Bucket=self.name, Key=key)["Grants"]
        return {
            (grant["Grantee"].get("URI", "owner").rpartition("/")[2], grant["Permission"])
            for grant in grants
        }
