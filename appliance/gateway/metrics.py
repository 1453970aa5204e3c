"""Prometheus metrics of the gateway and of the streamers that report to it."""

import statistics
from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from appliance.bus.messages import InstanceStats, SessionStatus


class Metrics:
    """Counters are raised where things happen; gauges are set when somebody looks."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "fanlight_gateway_requests", "HTTP requests", ("method", "status"), registry=registry
        )
        self.refused = Counter(
            "fanlight_gateway_refused", "What was turned away", ("reason",), registry=registry
        )
        self.relayed = Counter(
            "fanlight_gateway_messages", "Signaling messages relayed", ("direction",), registry=registry
        )
        self._sockets = Gauge("fanlight_gateway_sockets", "Open signaling sockets", registry=registry)
        self._agents = Gauge("fanlight_gateway_agents", "Agents that answer", registry=registry)
        self._silent = Gauge(
            "fanlight_gateway_agents_unresponsive", "Agents that fell silent", registry=registry
        )
        self._sessions = Gauge(
            "fanlight_gateway_sessions", "Sessions by status", ("status",), registry=registry
        )
        labels = ("instance", "encoder", "codec")
        self._viewers = Gauge("fanlight_viewers", "Connected viewers", labels, registry=registry)
        self._fps = Gauge("fanlight_frames_per_second", "Encoded frames", labels, registry=registry)
        self._kbps = Gauge("fanlight_bitrate_kbps", "Encoded bitrate", labels, registry=registry)
        self._latency = Gauge(
            "fanlight_capture_to_encoded_p95_ms", "Capture to encoded frame", labels, registry=registry
        )
        self._seen = Gauge(
            "fanlight_screen_to_screen_ms", "Median of the viewers' own estimates", labels, registry=registry
        )
        self._fallback = Gauge(
            "fanlight_software_fallback",
            "1 where a GPU should encode and does not",
            labels,
            registry=registry,
        )

    def exposition(
        self,
        *,
        sockets: int,
        agents: int,
        unresponsive: int,
        sessions: Iterable[SessionStatus],
        stats: Iterable[InstanceStats],
    ) -> bytes:
        """Everything in Prometheus' text format."""
        self._sockets.set(sockets)
        self._agents.set(agents)
        self._silent.set(unresponsive)
        tally = Tally(sessions)
        for status in SessionStatus:
            self._sessions.labels(status.value).set(tally[status])
        for gauge in (self._viewers, self._fps, self._kbps, self._latency, self._seen, self._fallback):
            gauge.clear()
        for each in stats:
            labels = (each.instance, each.encoder, each.codec)
            self._viewers.labels(*labels).set(len(each.viewers))
            self._fallback.labels(*labels).set(each.software_fallback)
            seen = [viewer.latency_ms for viewer in each.viewers if viewer.latency_ms is not None]
            for gauge, value in (
                (self._fps, each.fps),
                (self._kbps, each.bitrate_kbps),
                (self._latency, each.capture_to_encoded_p95_ms),
                (self._seen, statistics.median(seen) if seen else None),
            ):
                if value is not None:
                    gauge.labels(*labels).set(value)
        return generate_latest(self._registry)
