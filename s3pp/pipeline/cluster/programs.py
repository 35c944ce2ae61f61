"""How a process of this package is started that is a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from s3pp.pipeline.child import SECRETS


def start_program(
    name: str, *arguments: str, secrets: bool, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a module of this package, with the modules that this process has.

    It begins in the root directory: Python would import from any other what lies there. Without
    ``secrets`` it has no credentials in its environment. ``options`` are those of ``Popen``. Raises
    ``OSError``.
    """
    environment = {key: value for key, value in os.environ.items() if secrets or key not in SECRETS}
    environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(each) for each in sys.path if each)
    command = [sys.executable, "-m", f"s3pp.{name}", *arguments]
    return subprocess.Popen(command, cwd="/", env=environment, start_new_session=True, **options)
