"""Many objects as one body: a line of JSON with the keys and sizes, then all their bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping


def pack(objects: Mapping[str, bytes]) -> bytes:
    """The body of these objects, by key."""
    sizes = [(key, len(body)) for key, body in objects.items()]
    return b"".join([json.dumps(sizes).encode(), b"\n", *objects.values()])


def unpack(packed: bytes) -> dict[str, bytes]:
    """The objects in a body."""
    at = packed.index(b"\n") + 1
    objects = {}
    for key, size in json.loads(packed[:at]):
        objects[key] = packed[at : at + size]
        at += size
    return objects
