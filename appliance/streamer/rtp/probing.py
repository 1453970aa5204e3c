"""Clusters of packets sent faster than the target for a moment, to find out what the link can do."""

from typing import NamedTuple


class Probe(NamedTuple):
    """Packets to send at once: padding and what waits, evenly at `rate_bps`, until `octets` are out."""

    number: int
    """Given with each of its packets to BandwidthEstimator.sent()."""
    rate_bps: int
    octets: int
