"""How much may be sent to one viewer: GCC (draft-ietf-rmcat-gcc-02) on transport-wide feedback, or REMB."""

from appliance.streamer.rtp.probing import Probe
from appliance.streamer.rtp.transport_feedback import Feedback


class BandwidthEstimator:
    """Sans-IO: times are seconds of one monotonic clock; octets are of UDP payloads, as sent."""

    def __init__(self, *, start_bps: int, floor_bps: int, ceiling_bps: int) -> None:
        self.target_bps = start_bps
        """What may be sent now, retransmissions and padding included; from floor to ceiling."""
        self.rtt_s: float | None = None
        """From sending to hearing about it, smoothed; None before the first feedback."""
        self.loss = 0.0
        """Share of the packets of about the last second, 0 to 1."""
        self.queue_delay_s = 0.0
        """How long packets stand in the queue of the bottleneck."""
        self.ceiling_bps = ceiling_bps
        """May be changed at any time."""
        self._floor_bps = floor_bps

    def sent(self, sequence: int, octets: int, now: float, probe: int | None = None) -> None:
        """A packet with this transport sequence number (of 16 bits or not wrapped) has left."""

    def on_feedback(self, feedback: Feedback, now: float) -> None:
        """A message of the viewer; what it says about packets that were not sent is passed over."""

    def on_remb(self, bps: int, now: float) -> None:
        """The receiver's own estimate, believed until the first transport feedback."""

    def on_silence(self, now: float) -> None:
        """Call some times a second: backs off when feedback that is due has not come."""

    def probe_due(self, now: float) -> Probe | None:
        """A cluster to send now; each is given out once."""
        return None
