"""The tools that are compared: where they are, and the command lines by which they do the same."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("s3pp", "s5cmd", "rclone", "aws")
AWS_LIMIT = 2000  # files: at some 5 ms of CPU an object, more would only take time

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
    if name == "s3pp" and (ROOT / "s3pp" / "__main__.py").exists():
        inherited = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([str(ROOT), inherited] if inherited else [str(ROOT)])
        program = (sys.executable, "-m", "s3pp")
        return Tool(name, program, {"PYTHONPATH": path})
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


def version(tool: Tool) -> list[str]:
    """The command that prints the version."""
    return [*tool.program, "version" if tool.name in ("s5cmd", "rclone") else "--version"]


def mistake(tool: Tool) -> list[str]:
    """A command that the tool has to refuse before it does anything."""
    return [*tool.program, *_VERB[tool.name], "--no-such-option"]


def put(tool: Tool, source: Path, endpoint: Endpoint) -> list[str]:
    """The command that sends everything below ``source``, whatever the bucket holds."""
    return [*tool.program, *_PUT[tool.name](source, endpoint)]


def put_one(tool: Tool, source: Path, endpoint: Endpoint) -> list[str]:
    """The command that sends the one file ``source``."""
    return [*tool.program, *_PUT_ONE[tool.name](source, endpoint)]


def update(tool: Tool, source: Path, endpoint: Endpoint) -> list[str]:
    """The command that sends what differs from the bucket."""
    return [*tool.program, *_UPDATE[tool.name](source, endpoint)]


Arguments = Callable[[Path, Endpoint], list[str]]


def _s3pp(mode: str) -> Arguments:
    def arguments(source: Path, endpoint: Endpoint) -> list[str]:
        trust = ["--ca-bundle", str(endpoint.authority)] if endpoint.authority else []
        return [
            *("put", "--mode", mode, "--endpoint-url", endpoint.url, *trust),
            *(str(source), f"s3://{endpoint.bucket}/p"),
        ]

    return arguments


def _s5cmd(verb: str, tail: str) -> Arguments:
    def arguments(source: Path, endpoint: Endpoint) -> list[str]:
        dest = f"s3://{endpoint.bucket}/p/"
        return ["--endpoint-url", endpoint.url, verb, f"{source}{tail}", dest]

    return arguments


def _rclone(source: Path, endpoint: Endpoint) -> list[str]:
    trust = ["--ca-cert", str(endpoint.authority)] if endpoint.authority else []
    # 32 where the default is 4: nobody with many small files would leave it there.
    remote = f":s3,provider=Other,env_auth=true,endpoint='{endpoint.url}':{endpoint.bucket}/p"
    return ["copy", "--transfers", "32", *trust, str(source), remote]


def _aws(*verb: str) -> Arguments:
    def arguments(source: Path, endpoint: Endpoint) -> list[str]:
        dest = f"s3://{endpoint.bucket}/p/"
        return ["--endpoint-url", endpoint.url, "s3", *verb, str(source), dest]

    return arguments


_VERB = {"s3pp": ["put"], "s5cmd": ["cp"], "rclone": ["copy"], "aws": ["s3", "cp"]}
_PUT: dict[str, Arguments] = {
    "s3pp": _s3pp("stupid"),
    "s5cmd": _s5cmd("cp", "/*"),
    "rclone": _rclone,
    "aws": _aws("cp", "--recursive", "--no-progress"),
}
_PUT_ONE: dict[str, Arguments] = {
    "s3pp": _s3pp("stupid"),
    "s5cmd": _s5cmd("cp", ""),
    "rclone": _rclone,
    "aws": _aws("cp", "--no-progress"),
}
_UPDATE: dict[str, Arguments] = {
    "s3pp": _s3pp("update"),
    "s5cmd": _s5cmd("sync", "/"),
    "rclone": _rclone,
    "aws": _aws("sync", "--no-progress"),
}
