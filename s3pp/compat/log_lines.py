"""Lines of logs as Python's ``logging`` writes them, which scripts of older tools parse."""

from __future__ import annotations

import time


def log_time() -> str:
    """Return the time as ``2026-11-20 08:30:00,123``, in local time."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    return f"{stamp},{int(now * 1000) % 1000:03}"
