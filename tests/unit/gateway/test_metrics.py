"""What Prometheus is told of streams and viewers."""

import pytest

from appliance.bus.stats import InstanceStats, ViewerStats
from appliance.gateway.metrics import Metrics

pytestmark = pytest.mark.unit


def test_streams_and_viewers_go_by_the_names_of_anbox() -> None:
    direct = ViewerStats(id="v1", nacks=1, plis=2, firs=3, repeated_packets=4, repeated_bytes=500)
    relayed = ViewerStats(id="v2", pair="relay")
    stats = InstanceStats(instance="i", session="s", encode_s=1.5, viewers=[direct, relayed])
    text = (
        Metrics()
        .exposition(
            sockets=0, agents=0, unresponsive=0, accounts=None, draining=False, sessions=[], stats=[stats]
        )
        .decode()
    )
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("webrtc_"))
    assert lines['webrtc_total_encode_time{instance="i",session="s"}'] == "1.5"
    one, other = (f'{{instance="i",session="s",viewer="{each}"}}' for each in ("v1", "v2"))
    told = ("nack_count", "pli_count", "fir_count", "retransmitted_packets_sent", "retransmitted_bytes_sent")
    assert [lines[f"webrtc_{name}{one}"] for name in told] == ["1.0", "2.0", "3.0", "4.0", "500.0"]
    assert f"webrtc_retransmitted_packets_sent{other}" not in lines
    assert lines[f"webrtc_relay_in_use{other}"] == "1.0"
