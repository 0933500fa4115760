"""What Prometheus scrapes."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


@dataclass
class Metrics:
    """The metrics that Prometheus scrapes."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.requests = Counter("gramr2_requests", "Requests", ["path", "status"], registry=self.registry)
        self.decisions = Counter("gramr2_decisions", "Decisions by label", ["label"], registry=self.registry)
        sizes = (1, 2, 4, 8, 16, 32, 64, 128, 256)
        self.batches = Histogram("gramr2_batch_size", "Comparisons in a batch", registry=self.registry, buckets=sizes)
        self.seconds = Histogram("gramr2_batch_seconds", "Seconds of a batch", registry=self.registry)
        self.waiting = Gauge("gramr2_waiting_comparisons", "Comparisons in the queue", registry=self.registry)
