"""Prometheus metrics of the gateway and of the streamers that report to it.

What Anbox Cloud has a name for goes by that name (`anbox_stream_gateway_*`, `webrtc_*`): its dashboards fit.
"""

import statistics
from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from appliance.bus.messages import SessionStatus
from appliance.bus.stats import InstanceStats, ViewerStats

_ANBOX = "anbox_stream_gateway"
_HANDLERS = {
    "status": "get_service_status",
    "create_session": "create_new_session",
    "list_sessions": "get_sessions",
    "list_applications": "get_applications",
    "list_regions": "get_regions",
    "master": "streaming_websocket_master",
    "slave": "streaming_websocket_slave",
}
"""Anbox's labels of the handlers that have another name here."""
_STREAM, _VIEWER = ("instance", "session"), ("instance", "session", "viewer")
_ENCODING = ("instance", "encoder", "codec")


class Metrics:
    """Counters are raised where things happen; gauges are set when somebody looks."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            f"{_ANBOX}_http_requests", "HTTP requests", ("handler", "method", "status"), registry=registry
        )
        self.durations = Histogram(
            f"{_ANBOX}_http_request_duration_seconds",
            "HTTP requests",
            ("handler", "method"),
            registry=registry,
        )
        self.in_flight = Gauge(f"{_ANBOX}_http_in_flight_requests", "HTTP requests", registry=registry)
        self.refused = Counter(
            "fanlight_gateway_refused", "What was turned away", ("reason",), registry=registry
        )
        self.relayed = Counter(
            "fanlight_gateway_messages", "Signaling messages relayed", ("direction",), registry=registry
        )
        self._once = _Gauges(registry, (), {
            f"{_ANBOX}_accounts_total": "API accounts",
            f"{_ANBOX}_agents_total": "Agents that answer",
            f"{_ANBOX}_agents_unresponsive": "Agents that fell silent",
            "fanlight_gateway_sockets": "Open sockets: of signaling, and of events of the instance manager",
            "fanlight_draining": "1 while this box takes nobody new",
        })  # fmt: skip
        self._sessions = _Gauges(registry, ("status",), {f"{_ANBOX}_sessions_total": "Sessions by status"})
        self._streams = _Gauges(registry, _STREAM, {
            "webrtc_frames_encoded": "Frames encoded, once for all viewers",
            "webrtc_key_frames_encoded": "Keyframes among them",
            "webrtc_total_encode_time": "Seconds spent in the encoder for them",
            "webrtc_target_bitrate": "What the encoder aims at, in bits per second",
        })  # fmt: skip
        self._viewers = _Gauges(registry, _VIEWER, {
            "webrtc_bytes_sent": "Bytes of the picture sent",
            "webrtc_packets_sent": "Packets of the picture sent",
            "webrtc_retransmitted_packets_sent": "Packets of the picture sent again",
            "webrtc_retransmitted_bytes_sent": "Payload of those",
            "webrtc_nack_count": "NACKs received",
            "webrtc_pli_count": "PLIs received",
            "webrtc_fir_count": "FIRs received",
            "webrtc_relay_in_use": "1 where a TURN server is on the way",
        })  # fmt: skip
        self._encodings = _Gauges(registry, _ENCODING, {
            "fanlight_viewers": "Connected viewers",
            "fanlight_frames_per_second": "Encoded frames",
            "fanlight_bitrate_kbps": "Encoded bitrate",
            "fanlight_capture_to_encoded_p95_ms": "Capture to encoded frame",
            "fanlight_screen_to_screen_ms": "Median of the viewers' own estimates",
            "fanlight_software_fallback": "1 where a GPU should encode and does not",
        })  # fmt: skip

    @staticmethod
    def handler(name: str) -> str:
        """The label of the handler `name`."""
        return _HANDLERS.get(name, name)

    def exposition(
        self,
        *,
        sockets: int,
        agents: int,
        unresponsive: int,
        accounts: int | None,
        draining: bool,
        sessions: Iterable[SessionStatus],
        stats: Iterable[InstanceStats],
    ) -> bytes:
        """Everything in Prometheus' text format. None means not known, and is left out."""
        self._once.set((), accounts, agents, unresponsive, sockets, draining)
        tally = Tally(sessions)
        for status in SessionStatus:
            self._sessions.set((status.value,), tally[status])
        for each in (self._streams, self._viewers, self._encodings):
            each.clear()
        for stream in stats:
            self._tell(stream)
        return generate_latest(self._registry)

    def _tell(self, each: InstanceStats) -> None:
        stream = (each.instance, each.session or "")
        target = None if each.target_kbps is None else each.target_kbps * 1000
        self._streams.set(stream, each.frames_encoded, each.keyframes, each.encode_s, target)
        for viewer in each.viewers:
            self._viewers.set((*stream, viewer.id), *_sent(viewer))
        seen = [viewer.latency_ms for viewer in each.viewers if viewer.latency_ms is not None]
        self._encodings.set(
            (each.instance, each.encoder, each.codec),
            len(each.viewers),
            each.fps,
            each.bitrate_kbps,
            each.capture_to_encoded_p95_ms,
            statistics.median(seen) if seen else None,
            each.software_fallback,
        )


class _Gauges:
    """Gauges with the same labels, set together in the order in which they are named."""

    def __init__(self, registry: CollectorRegistry, labels: tuple[str, ...], named: dict[str, str]) -> None:
        self._gauges = [Gauge(name, text, labels, registry=registry) for name, text in named.items()]
        self._labelled = bool(labels)

    def clear(self) -> None:
        """Forget what was set for any labels."""
        for each in self._gauges:
            each.clear()

    def set(self, labels: tuple[str, ...], *values: float | None) -> None:
        """One value for each gauge; None leaves it out."""
        for gauge, value in zip(self._gauges, values, strict=True):
            if value is not None:
                (gauge.labels(*labels) if self._labelled else gauge).set(value)


def _sent(viewer: ViewerStats) -> tuple[float | None, ...]:
    return (
        viewer.bytes_sent,
        viewer.packets_sent,
        viewer.repeated_packets,
        viewer.repeated_bytes,
        viewer.nacks,
        viewer.plis,
        viewer.firs,
        viewer.pair == "relay",
    )
