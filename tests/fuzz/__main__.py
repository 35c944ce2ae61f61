"""Fuzz the parsers of everything that others have written.

``python tests/fuzz TARGET [SECONDS] [DIRECTORY]`` runs one target of ``targets``, from the corpus
of ``tests/corpus`` and what earlier runs have put into DIRECTORY, where new inputs go too. It ends
at the first input that crashes, takes more than ten seconds or fills a gigabyte, and writes that to
DIRECTORY: the smallest form of it belongs into ``tests/corpus``, where ``unit/test_corpus.py``
holds it. ``all`` runs each target in turn, in a process of its own.

Needs ``pip install atheris``, which finds new paths by coverage; tests do not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
CORPUS = HERE.parent / "corpus"
SECONDS, MOST_BYTES, MOST_MEMORY, TIMEOUT = 60, 1 << 16, 1024, 10


def main(arguments: list[str]) -> int:
    """Fuzz what the command line names; returns the exit code."""
    name, seconds, directory = [*arguments, *["all", str(SECONDS), ""][len(arguments) :]][:3]
    found = Path(directory or tempfile.mkdtemp(prefix="s3pp-fuzz-"))
    if name == "all":
        return _fuzz_all(seconds, found)
    return _fuzz(name, int(seconds), found)


def _fuzz_all(seconds: str, found: Path) -> int:
    from fuzz.targets import TARGETS

    worst = 0
    for name in TARGETS:
        command = [sys.executable, str(HERE), name, seconds, str(found)]
        status = subprocess.run(command, check=False).returncode
        print(f"{name}: {'no defect found' if not status else f'exit code {status}'}", flush=True)
        worst = max(worst, abs(status))
    return worst


def _fuzz(name: str, seconds: int, found: Path) -> int:
    import atheris

    with atheris.instrument_imports(include=["s3pp", "json", "csv", "configparser", "email"]):
        from fuzz.targets import TARGETS

    inputs = found / name
    inputs.mkdir(parents=True, exist_ok=True)
    directories = [str(inputs), *(str(each) for each in [CORPUS / name] if each.is_dir())]
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MOST_BYTES}",
        f"-rss_limit_mb={MOST_MEMORY}",
        f"-timeout={TIMEOUT}",
        f"-artifact_prefix={found / name}-",
        "-verbosity=1",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, *directories], TARGETS[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    sys.path.insert(0, str(HERE.parent.parent))
    sys.exit(main(sys.argv[1:]))
