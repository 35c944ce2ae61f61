"""s3pp, the S3 parallel pipeline: moves very many objects between a file system and S3.

As a library: ``s3pp.put``, ``get``, ``copy``, ``move``, ``remove``, ``apply``, ``retry``,
``verify``, ``list``, ``du`` and ``clean``, see ``docs/library.rst``.
Every process of a run imports this module, so that they are imported only where they are used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s3pp.access import Keys
    from s3pp.errors import ExitStatus, FailureKind, FatalError, S3ppError, UsageError
    from s3pp.library.calls import (
        apply,
        clean,
        copy,
        du,
        get,
        list,
        move,
        put,
        remove,
        retry,
        verify,
    )
    from s3pp.library.listing import Listing
    from s3pp.library.result import Failure, PrefixUsage, RunFailed, RunResult, S3Object, Usage

__version__ = "0.1.0"

__all__ = [
    "ExitStatus",
    "Failure",
    "FailureKind",
    "FatalError",
    "Keys",
    "Listing",
    "PrefixUsage",
    "RunFailed",
    "RunResult",
    "S3Object",
    "S3ppError",
    "Usage",
    "UsageError",
    "__version__",
    "apply",
    "clean",
    "copy",
    "du",
    "get",
    "list",
    "move",
    "put",
    "remove",
    "retry",
    "verify",
]

_PLACES = {
    "access": ("Keys",),
    "errors": ("ExitStatus", "FailureKind", "FatalError", "S3ppError", "UsageError"),
    "library.calls": (
        "apply",
        "clean",
        "copy",
        "du",
        "get",
        "list",
        "move",
        "put",
        "remove",
        "retry",
        "verify",
    ),
    "library.listing": ("Listing",),
    "library.result": ("Failure", "PrefixUsage", "RunFailed", "RunResult", "S3Object", "Usage"),
}


if not TYPE_CHECKING:  # type checkers would allow every name

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        for place, names in _PLACES.items():
            if name in names:
                return getattr(import_module(f"s3pp.{place}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> Any:
    return sorted({*globals(), *__all__})
