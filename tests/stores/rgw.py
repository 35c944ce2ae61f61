"""Ceph's RADOS gateway as a child: ``python -m stores.rgw PORT``, ends with its stdin.

A real store: it verifies signatures, body hashes and Content-MD5. One monitor, one OSD that keeps
its objects in memory, one gateway, all of the user who runs it and on loopback; the monitor's
store is in a temporary directory. Needs Debian's packages ceph-mon, ceph-osd and radosgw.
"""

from __future__ import annotations

import base64
import os
import shutil
import struct
import sys
import tempfile
import time
import uuid
from pathlib import Path

from stores.daemons import Daemons
from stores.ports import free_port, wait_for_http

ACCESS_KEY, SECRET_KEY = "rgw-access-key", "rgw-secret-that-must-never-be-printed"
PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon_port}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = {base}
admin socket =
pid file =
crash dir = {base}
log to file = false
log to stderr = false
err to stderr = true
mon cluster log to file = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
[mon]
mon data = {base}/mon
mon data avail crit = 0
[osd]
osd data = {base}/osd
keyring = {base}/keyring
osd objectstore = memstore
memstore device bytes = 17179869184
osd class load list = *
osd class default list = *
[client]
keyring = {base}/keyring
rgw frontends = beast endpoint=127.0.0.1:{port}
"""
CAPABILITIES = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
}


def missing() -> list[str]:
    """The programs that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name)]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="s3pp-rgw-") as base:
        _serve(int(sys.argv[1]), Path(base))


def _serve(port: int, base: Path) -> None:
    fsid, mon_port = str(uuid.uuid4()), free_port()
    settings = {"fsid": fsid, "mon_port": mon_port, "port": port, "base": base}
    (base / "ceph.conf").write_text(CONFIGURATION.format(**settings))
    (base / "keyring").write_text("".join(map(_keyring_entry, CAPABILITIES)))
    with Daemons(base, {"CEPH_CONF": str(base / "ceph.conf")}) as daemons:
        _start_monitor(daemons, fsid, f"[v2:127.0.0.1:{mon_port}]")
        _start_osd(daemons, base)
        user = ["--uid=tests", "--display-name=tests"]
        keys = [f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}"]
        daemons.run(["radosgw-admin", "user", "create", *user, *keys])
        daemons.start("radosgw", ["radosgw", "--foreground", "--name=client.admin"])
        wait_for_http(port, "/")
        daemons.serve()


def _keyring_entry(name: str) -> str:
    # A CephX key: type 1 (AES), the time in seconds and nanoseconds, the length, the key.
    key = struct.pack("<hiih", 1, int(time.time()), 0, 16) + os.urandom(16)
    lines = [f"[{name}]", f"key = {base64.b64encode(key).decode()}"]
    lines += [f'caps {of} = "{what}"' for of, what in CAPABILITIES[name].items()]
    return "\n".join(lines) + "\n"


def _start_monitor(daemons: Daemons, fsid: str, address: str) -> None:
    daemons.run(["monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, "monmap"])
    daemons.run(["ceph-mon", "--mkfs", "--id=a", "--monmap=monmap", "--keyring=keyring"])
    daemons.start("mon", ["ceph-mon", "--foreground", "--id=a"])


def _start_osd(daemons: Daemons, base: Path) -> None:
    (base / "osd").mkdir()
    osd_uuid = str(uuid.uuid4())
    daemons.run(["ceph", "osd", "new", osd_uuid])
    daemons.run(["ceph-osd", "--id=0", "--mkfs", f"--osd-uuid={osd_uuid}"])
    daemons.start("osd", ["ceph-osd", "--foreground", "--id=0"])


if __name__ == "__main__":
    main()
