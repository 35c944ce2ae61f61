"""From a request to the operation it asks for, and its answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from loopback import answers, buckets, objects, uploads
from loopback.answers import Answer, S3Error
from loopback.request import Received, Request
from loopback.store import Store
from loopback.version import etag_of, size_of

Operation = Callable[[Store, Request, Received], Answer]

# Operations told apart by a parameter of the query, before the method alone decides.
_BY_PARAMETER: dict[tuple[bytes, bool, bytes], Operation] = {
    # method, on an object, parameter
    (b"POST", True, b"uploads"): uploads.create_upload,
    (b"PUT", True, b"uploadId"): uploads.upload_part,
    (b"POST", True, b"uploadId"): uploads.complete_upload,
    (b"DELETE", True, b"uploadId"): uploads.abort_upload,
    (b"GET", True, b"uploadId"): uploads.list_parts,
    (b"GET", False, b"uploads"): uploads.list_uploads,
    (b"GET", False, b"location"): buckets.location,
    (b"GET", False, b"versioning"): buckets.versioning,
    (b"POST", False, b"delete"): buckets.delete_objects,
}
_BY_METHOD: dict[tuple[bytes, bool], Operation] = {
    (b"PUT", True): objects.put_object,
    (b"HEAD", True): objects.head_object,
    (b"GET", True): objects.get_object,
    (b"DELETE", True): objects.delete_object,
    (b"PUT", False): buckets.create_bucket,
    (b"HEAD", False): buckets.head_bucket,
    (b"GET", False): buckets.list_objects,
    (b"DELETE", False): buckets.delete_bucket,
}
# Sub-resources that are not kept: to pretend would make a client believe they are.
_UNKEPT = frozenset({b"acl", b"tagging", b"versionId", b"versions", b"policy", b"attributes"})


def answer(store: Store, request: Request, received: Received) -> Answer:
    """Do what ``request`` asks for, and count it."""
    control = None if request.key else _CONTROLS.get((request.method, request.bucket))
    if control:
        return control(store)
    try:
        below = request.key.startswith(store.throttled_below)
        if store.throttle and below and not store.throttle.take():
            raise S3Error("503 Slow Down", "SlowDown")
        operation = choose(request)
        store.counts[operation.__name__] += 1
        return operation(store, request, received)
    except S3Error as error:
        store.counts[error.code] += 1
        return answers.refusal(error, request.key, bodiless=request.method == b"HEAD")


def choose(request: Request) -> Operation:
    """The operation that ``request`` asks for."""
    on_object = request.key != b""
    if request.query:
        if not _UNKEPT.isdisjoint(request.query):
            raise S3Error("501 Not Implemented", "NotImplemented")
        for parameter in request.query:
            found = _BY_PARAMETER.get((request.method, on_object, parameter))
            if found:
                return found
    if not request.bucket:
        return buckets.list_buckets
    if request.rare(b"x-amz-copy-source") is not None:
        return objects.copy_object
    try:
        return _BY_METHOD[request.method, on_object]
    except KeyError:
        raise S3Error("405 Method Not Allowed", "MethodNotAllowed") from None


def status(store: Store) -> bytes:
    """What was asked for since the reset, by operation or error, and what the store holds; JSON."""
    spent = time.process_time()  # before the counting, which is nobody's
    held = [bucket.held for bucket in store.buckets.values()]
    told = {
        "requests": dict(store.counts),
        "connections": store.connections,
        "keys": sum(keys for keys, _ in held),
        "bytes": sum(size for _, size in held),
        "cpu_seconds": spent,
    }
    return answers.plain(
        b"200 OK", b"Content-Type: application/json\r\n", json.dumps(told).encode()
    )


def held(store: Store) -> bytes:
    """What the buckets hold, for stores of a few objects; JSON."""
    told = [
        {
            "key": key.decode(),
            "size": size_of(packed),
            "etag": etag_of(packed).decode(),
            "part_size": store.layout_of(packed).part_size,
        }
        for bucket in store.buckets.values()
        for key, packed in bucket.objects.items()
    ]
    return answers.plain(
        b"200 OK", b"Content-Type: application/json\r\n", json.dumps(told).encode()
    )


def reset(store: Store) -> bytes:
    """Set all counts to zero."""
    store.counts.clear()
    store.connections = 0
    return answers.empty(b"204 No Content")


def clear(store: Store) -> bytes:
    """Be as at the start, with what was preloaded, and set all counts to zero."""
    for bucket in store.buckets.values():
        bucket.forget()
    return reset(store)


# Not S3: what the harness itself asks. No bucket's name begins with an underscore.
_CONTROLS: dict[tuple[bytes, bytes], Callable[[Store], bytes]] = {
    (b"GET", b"__counts"): status,
    (b"GET", b"__held"): held,
    (b"POST", b"__reset"): reset,
    (b"POST", b"__clear"): clear,
}
