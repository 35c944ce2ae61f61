"""The tools that are compared: where they are, and the environment they run in."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOOR = "floor"
NAMES = ("s3pp", "s5cmd", "rclone", "aws", FLOOR)
# Objects: more would only take time, at some 5 ms of CPU each for aws.
_LIMITS = {"aws": 2000, "rclone": 10_000}

# Programs of this checkout.
_OURS = {
    "s3pp": ("-m", "s3pp"),
    FLOOR: (str(ROOT / "benchmarks" / "floor.py"),),
    "layers": (str(ROOT / "benchmarks" / "layers.py"),),
}
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "benchbench",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    # Nothing of the user's own configuration may play a part.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "RCLONE_CONFIG": os.devnull,
}


@dataclass(frozen=True)
class Endpoint:
    """Where the peer is, and the certificate by which it can be trusted."""

    url: str
    authority: Path | None = None
    bucket: str = "bench"


@dataclass(frozen=True)
class Tool:
    """A tool that is there."""

    name: str
    program: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def is_floor(self) -> bool:
        """Whether it only asks: there are no files of its, and it does not list by itself."""
        return self.name == FLOOR

    def environment(self, endpoint: Endpoint) -> dict[str, str]:
        """The environment of a run against ``endpoint``, with nothing of S3 inherited."""
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(("AWS_", "RCLONE_", "S3_", "S3PP_"))
            and not name.lower().endswith("_proxy")
        }
        trust = {"AWS_CA_BUNDLE": str(endpoint.authority)} if endpoint.authority else {}
        return clean | _ENVIRONMENT | trust | self.variables


def find(name: str) -> Tool | None:
    """The tool called ``name``: s3pp from this checkout, others beside Python or on PATH."""
    if name in _OURS and (ROOT / "s3pp" / "__main__.py").exists():
        inherited = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([str(ROOT), inherited] if inherited else [str(ROOT)])
        return Tool(name, (sys.executable, *_OURS[name]), {"PYTHONPATH": path})
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        return None
    return Tool(name, (_native(name, found),))


def _native(name: str, found: str) -> str:
    """The program itself where PyPI's package puts a Python script before it.

    The script's start-up and memory are the package's, and would be held against the tool.
    """
    for folder in sys.path:
        native = Path(folder) / name / "bin" / name
        if native.is_file() and os.access(native, os.X_OK):
            return str(native)
    return found


def share(tool: Tool, objects: int) -> int:
    """How many of ``objects`` the tool is asked to move."""
    return min(objects, _LIMITS.get(tool.name, objects))
