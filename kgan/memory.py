"""How much memory a process has taken."""

from __future__ import annotations

import sys


def peak() -> float:
    """Bytes of main memory that this process held at most until now; 0 where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
