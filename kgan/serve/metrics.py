"""Counts for Prometheus, under TensorFlow Serving's names, which the official client library would change.

Latencies are in microseconds. What a model is called comes from requests, so only models that there are get a line: all
others are counted together under "".
"""

from __future__ import annotations

import bisect
import threading
from collections import Counter
from collections.abc import Mapping

PATH = "/monitoring/prometheus/metrics"
COUNT = ":tensorflow:serving:request_count"
LATENCY = ":tensorflow:serving:request_latency"
BOUNDS = tuple(10 * 1.8**power for power in range(33))  # TensorFlow Serving's buckets
Key = tuple[str, ...]


class Metrics:
    """Requests by model and outcome, and how long those took that were answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Key] = Counter()
        self._buckets: dict[Key, list[int]] = {}
        self._sums: Counter[Key] = Counter()

    def add(self, model: str, code: str, api: str, entrypoint: str, seconds: float) -> None:
        """Count a request.

        Args:
          model: its name.
          code: "OK" or the code of its `Status`.
          api: "predict" of REST, "Predict" of gRPC; entrypoint: "REST" or "GRPC".
          seconds: that it took.
        """
        microseconds = seconds * 1e6
        with self._lock:
            self._counts[model, code] += 1
            if code == "OK":
                key = model, api, entrypoint
                buckets = self._buckets.setdefault(key, [0] * (len(BOUNDS) + 1))
                buckets[bisect.bisect_left(BOUNDS, microseconds)] += 1
                self._sums[key] += int(microseconds)

    def text(self) -> str:
        """All of it in Prometheus' text format."""
        with self._lock:
            lines = [f"# TYPE {COUNT} counter"]
            lines += [
                f"{COUNT}{_labels({'model_name': model, 'status': code})} {count}"
                for (model, code), count in sorted(self._counts.items())
            ]
            lines.append(f"# TYPE {LATENCY} histogram")
            for key, buckets in sorted(self._buckets.items()):
                labels = dict(zip(("model_name", "API", "entrypoint"), key, strict=True))
                total = 0
                for bound, count in zip((*BOUNDS, None), buckets, strict=True):
                    total += count
                    le = "+Inf" if bound is None else f"{bound:g}"
                    lines.append(f"{LATENCY}_bucket{_labels({**labels, 'le': le})} {total}")
                lines.append(f"{LATENCY}_sum{_labels(labels)} {self._sums[key]}")
                lines.append(f"{LATENCY}_count{_labels(labels)} {total}")
        return "\n".join(lines) + "\n"


def _labels(values: Mapping[str, str]) -> str:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") + '"'

    return "{" + ",".join(f"{name}={quoted(value)}" for name, value in values.items()) + "}"
