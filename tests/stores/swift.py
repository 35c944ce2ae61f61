"""OpenStack Swift with its S3 API as a child: ``python -m stores.swift PORT PLACE``.

Ends with its stdin. A real store: it verifies signatures, body hashes, Content-MD5 and CRC32. It
keeps no tags, no ACLs and only one storage class, and refuses server-side encryption. One node, one
replica, four processes, with the data in a directory of its own below PLACE, whose file system must
know user xattrs.
"""

from __future__ import annotations

import getpass
import os
import sys
import sysconfig
import tempfile
from pathlib import Path

from stores.daemons import Daemons
from stores.ports import TESTS, free_port, wait_for_port

ACCESS_KEY, SECRET_KEY = "test:tester", "testing"
RINGS = ("object", "container", "account")

# The order matters: with ``copy`` after ``slo`` a part copy stores the manifest, not the content.
PIPELINE = (
    "catch_errors gatekeeper healthcheck cache bulk s3api tempauth copy slo dlo versioned_writes"
)
OPTIONS = {
    "tempauth": "user_test_tester = testing .admin",
    "s3api": "s3_acl = false\nlocation = us-east-1\ncheck_bucket_owner = false",
    "versioned_writes": "allow_object_versioning = true",
}
MADE_BY = {"cache": "paste.filter_factory = stores.swift_cache:filter_factory"}
SWIFT_CONF = """\
[swift-hash]
swift_hash_path_prefix = x
swift_hash_path_suffix = y
[storage-policy:0]
name = default
default = yes
"""
# The timeouts are long because a listing that misses an object after a slow container update
# (1 second by default, then left to a daemon that does not run here) would look like our fault.
# No workers: each daemon is one process, whose parent would only poll.
COMMON = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {etc}
devices = {devices}
mount_check = false
log_level = ERROR
fallocate_reserve = 0
container_update_timeout = 30
conn_timeout = 10
node_timeout = 60
recoverable_node_timeout = 60
"""


def data_parent() -> str | None:
    """A place for data whose file system knows user xattrs; memory first, it is the fastest."""
    places = ("/dev/shm", tempfile.gettempdir(), str(Path(__file__).parent))
    return next(filter(_knows_xattrs, places), None)


def _knows_xattrs(place: str) -> bool:
    try:
        with tempfile.NamedTemporaryFile(dir=place) as probe:
            os.setxattr(probe.name, "user.s3pp", b"x" * 1024)
    except (AttributeError, OSError):
        return False
    return True


def _common(port: int, base: Path) -> str:
    return COMMON.format(port=port, user=getpass.getuser(), etc=base / "etc", devices=base / "dev")


def _write_backend(name: str, port: int, base: Path) -> None:
    from swift.common.ring.builder import RingBuilder

    address = {"ip": "127.0.0.1", "port": port}
    address |= {"replication_ip": "127.0.0.1", "replication_port": port}
    place = {"id": 0, "region": 1, "zone": 1, "device": "sdb1", "weight": 1.0, "meta": ""}
    ring = RingBuilder(part_power=4, replicas=1, min_part_hours=1)
    ring.add_dev(place | address)
    ring.rebalance()
    ring.get_ring().save(str(base / "etc" / f"{name}.ring.gz"))
    sections = f"[pipeline:main]\npipeline = {name}-server\n"
    sections += f"[app:{name}-server]\nuse = egg:swift#{name}\n"
    (base / "etc" / f"{name}.conf").write_text(_common(port, base) + sections)


def _write_proxy(port: int, base: Path) -> None:
    sections = f"[pipeline:main]\npipeline = {PIPELINE} symlink proxy-server\n"
    sections += "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
    sections += "conn_timeout = 10\nnode_timeout = 60\nrecoverable_node_timeout = 60\n"
    for name in [*PIPELINE.split(), "symlink"]:
        made = MADE_BY.get(name, f"use = egg:swift#{name}")
        sections += f"[filter:{name}]\n{made}\n{OPTIONS.get(name, '')}\n"
    (base / "etc" / "proxy.conf").write_text(_common(port, base) + sections)


def _command(name: str, base: Path) -> list[str]:
    program = Path(sysconfig.get_path("scripts")) / f"swift-{name}-server"
    return [sys.executable, str(program), str(base / "etc" / f"{name}.conf")]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="s3pp-swift-", dir=sys.argv[2]) as base:
        _serve(int(sys.argv[1]), Path(base))


def _serve(port: int, base: Path) -> None:
    (base / "etc").mkdir()
    (base / "dev" / "sdb1").mkdir(parents=True)
    (base / "etc" / "swift.conf").write_text(SWIFT_CONF)
    backends = {name: free_port() for name in RINGS}
    for name, backend_port in backends.items():
        _write_backend(name, backend_port, base)
    _write_proxy(port, base)
    with Daemons(base, {"PYTHONPATH": str(TESTS)}) as daemons:
        for name in (*RINGS, "proxy"):
            daemons.start(name, _command(name, base))
        for each in (*backends.values(), port):
            wait_for_port(each)
        daemons.serve()


if __name__ == "__main__":
    main()
