"""What Prometheus sees; over all worker processes where there are several."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The counters of one process; their labels are paths, statuses and names of models: few."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "chaincrf_requests", "Requests answered.", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "chaincrf_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ["path"],
            registry=registry,
            buckets=_SECONDS,
        )
        self.batch_texts = Histogram(
            "chaincrf_batch_texts", "Texts computed together.", ["model"], registry=registry, buckets=_TEXTS
        )
        self.batch_seconds = Histogram(
            "chaincrf_batch_seconds",
            "Time to compute a batch.",
            ["model"],
            registry=registry,
            buckets=_SECONDS,
        )
        self.tokens = Counter("chaincrf_tokens", "Tokens tagged.", ["model"], registry=registry)
        self.queue = Gauge(
            "chaincrf_queue_texts",
            "Texts that wait or are computed.",
            ["model"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.swaps = Counter(
            "chaincrf_model_swaps", "New versions swapped in.", ["model", "outcome"], registry=registry
        )

    def render(self) -> bytes:
        """All of it in Prometheus' text format."""
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            everywhere = CollectorRegistry()
            MultiProcessCollector(everywhere)
            return generate_latest(everywhere)
        return generate_latest(self.registry)
