"""The verbs of a soak: where each reads and writes, and which names it calls what is there."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from commands import Argument
from faults.trials import TEMPORARY
from stores.store import Bucket, Store

BESIDE = {"p2/x": b"beside", "other": b"another"}  # keys that no run is about


class Trip(ABC):
    """One source and one destination, on a store of its own."""

    verb: ClassVar[str]

    def __init__(self, store: Store, place: Path) -> None:
        self.bucket, self.place = store.bucket(), place

    @abstractmethod
    def places(self, proxy: Store) -> list[Argument]:
        """What stands behind the verb and the options, on a store that is reached by ``proxy``."""

    @abstractmethod
    def fill(self, source: Mapping[str, bytes], held: Mapping[str, bytes]) -> None:
        """Create the source, and what the destination holds."""

    @abstractmethod
    def change(self, name: str, body: bytes | None) -> None:
        """Replace a name of the source at once, or remove it."""

    @abstractmethod
    def arrived(self) -> dict[str, bytes]:
        """Read the destination, by name."""

    @abstractmethod
    def around(self) -> dict[str, bytes]:
        """Read what is beside the destination, and what a run must not touch."""

    def temporaries(self) -> list[str]:
        """The temporary files at the destination."""
        return []

    def uploads(self, unacknowledged: Collection[str] = ()) -> list[str]:
        """The keys of the unfinished uploads at the destination.

        Without those of ``unacknowledged`` keys that have no part: an upload whose creation was not
        acknowledged has an id that the run does not know, and no part can get there.
        """
        answer = self.bucket.client.list_multipart_uploads(Bucket=self.bucket.name)
        found = [(each["Key"], each["UploadId"]) for each in answer.get("Uploads", [])]
        return [key for key, id in found if key not in unacknowledged or self._parts(key, id)]

    def _parts(self, key: str, upload_id: str) -> int:
        answer = self.bucket.client.list_parts(Bucket=self.bucket.name, Key=key, UploadId=upload_id)
        return len(answer.get("Parts", []))

    @abstractmethod
    def name(self, key: str) -> str:
        """The name of what the journal calls ``key``, which may also be a path."""


class _ToBucket(Trip):
    """A destination below ``p/`` of a bucket."""

    def _hold(self, held: Mapping[str, bytes]) -> None:
        self.bucket.fill({**{f"p/{name}": body for name, body in held.items()}, **BESIDE})

    def arrived(self) -> dict[str, bytes]:
        found = self.bucket.tree().items()
        return {key.removeprefix("p/"): body for key, body in found if key.startswith("p/")}

    def around(self) -> dict[str, bytes]:
        return {key: body for key, body in self.bucket.tree().items() if not key.startswith("p/")}

    def name(self, key: str) -> str:
        return key.removeprefix("p/")


class Put(_ToBucket):
    """A directory that is put."""

    verb = "put"

    @property
    def _source(self) -> Path:
        return self.place / "src"

    def places(self, proxy: Store) -> list[Argument]:
        return [self._source, f"{self.bucket.url}/p"]

    def fill(self, source: Mapping[str, bytes], held: Mapping[str, bytes]) -> None:
        for name, body in source.items():
            self.change(name, body)
        self._hold(held)

    def change(self, name: str, body: bytes | None) -> None:
        path, aside = self._source / name, self.place / "aside"
        if body is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(body)  # a file that is written in place may be read half by anybody
        aside.rename(path)


class Copy(_ToBucket):
    """A prefix that is copied into another bucket, by the store or through this machine."""

    verb = "copy"

    def __init__(self, store: Store, place: Path, *, through: bool) -> None:
        super().__init__(store, place)
        self._from, self._through = store.bucket(), through

    def places(self, proxy: Store) -> list[Argument]:
        # Under another name it is another store, which cannot copy from this one by itself.
        elsewhere = proxy.url.replace("127.0.0.1", "localhost")
        options = [f"--source-endpoint-url={elsewhere}"] if self._through else []
        return [*options, f"{self._from.url}/s", f"{self.bucket.url}/p"]

    def fill(self, source: Mapping[str, bytes], held: Mapping[str, bytes]) -> None:
        self._from.fill({f"s/{name}": body for name, body in source.items()})
        self._hold(held)

    def change(self, name: str, body: bytes | None) -> None:
        _change(self._from, f"s/{name}", body)


class Get(Trip):
    """A prefix that is fetched into a directory."""

    verb = "get"

    @property
    def directory(self) -> Path:
        """Where files are written."""
        return self.place / "area" / "dest"

    def places(self, proxy: Store) -> list[Argument]:
        return [f"{self.bucket.url}/s", self.directory]

    def fill(self, source: Mapping[str, bytes], held: Mapping[str, bytes]) -> None:
        self.bucket.fill({f"s/{name}": body for name, body in source.items()})
        for name, body in held.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.place / "area" / "beside").write_bytes(b"beside")

    def change(self, name: str, body: bytes | None) -> None:
        _change(self.bucket, f"s/{name}", body)

    def arrived(self) -> dict[str, bytes]:
        found = _files(self.directory)
        return {name: body for name, body in found.items() if not TEMPORARY.search(name)}

    def around(self) -> dict[str, bytes]:
        found = _files(self.place / "area")
        return {name: body for name, body in found.items() if not name.startswith("dest/")}

    def temporaries(self) -> list[str]:
        return sorted(name for name in _files(self.directory) if TEMPORARY.search(name))

    def name(self, key: str) -> str:
        below = os.path.join(self.directory, "")
        return key.removeprefix(below) if key.startswith(below) else key.removeprefix("s/")


def _change(bucket: Bucket, key: str, body: bytes | None) -> None:
    if body is None:
        bucket.client.delete_object(Bucket=bucket.name, Key=key)
    else:
        bucket.put(key, body)


def _files(top: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for where, _, names in os.walk(top):
        for name in names:
            path = Path(where, name)
            found[str(path.relative_to(top))] = path.read_bytes()
    return found


def through(store: Store, url: str) -> Store:
    """The store, as it is reached by way of a proxy."""
    return replace(store, url=url)
