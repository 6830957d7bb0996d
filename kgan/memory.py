"""How much memory a process has taken."""

from __future__ import annotations

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")  # Linux


def peak() -> float:
    """Bytes of main memory that this process held at most until now; 0 where the system does not say (Windows)."""
    if STATUS.is_file():  # getrusage would tell of the process that started this one, where that was larger
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return 1024 * int(fields["VmHWM"].split()[0])
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
