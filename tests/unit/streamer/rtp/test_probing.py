import pytest

from appliance.streamer.rtp.probing import Probe, Prober

pytestmark = pytest.mark.unit

MEGABIT = 1_000_000
CEILING = 10 * MEGABIT


def cluster(prober: Prober, probe: Probe, carried: float, now: float, burst: int = 1) -> float | None:
    """What the prober makes of a cluster that a link carries at this rate."""
    result, sent, count = None, 0.0, -(-probe.octets // 1200)
    for number in range(count):
        sent = number // burst * burst * 9600 / probe.rate_bps
        arrival = 50 + number * 9600 / carried
        result = result or prober.arrived(probe.number, (now + sent, arrival, 1200), now + 0.1)
    return result


def test_it_begins_at_three_times_the_start_and_goes_on_while_that_is_carried() -> None:
    prober = Prober()
    first = prober.due(MEGABIT, CEILING, None, 0.0)
    assert first == Probe(1, 3 * MEGABIT, 6000)
    assert prober.due(MEGABIT, CEILING, None, 0.05) is None
    assert cluster(prober, first, 3 * MEGABIT, 0.0) == pytest.approx(3 * MEGABIT)
    second = prober.due(3 * MEGABIT, CEILING, None, 0.2)
    assert second == Probe(2, 6 * MEGABIT, 11_250)
    assert cluster(prober, second, 6 * MEGABIT, 0.2) == pytest.approx(6 * MEGABIT)
    third = prober.due(6 * MEGABIT, CEILING, None, 0.4)
    assert third is not None
    assert third.rate_bps == CEILING


def test_a_link_that_is_full_says_so() -> None:
    prober = Prober()
    probe = prober.due(MEGABIT, CEILING, None, 0.0)
    assert probe
    assert cluster(prober, probe, 1.5 * MEGABIT, 0.0) == pytest.approx(0.95 * 1.5 * MEGABIT)
    assert prober.due(1.4 * MEGABIT, CEILING, MEGABIT, 0.3) is None
    assert prober.due(1.4 * MEGABIT, CEILING, MEGABIT, 2.1) is not None


def test_packets_that_arrive_together_say_nothing() -> None:
    prober = Prober()
    probe = prober.due(MEGABIT, CEILING, None, 0.0)
    assert probe
    assert cluster(prober, probe, 1000 * MEGABIT, 0.0) is None


def test_what_left_in_one_burst_is_believed_up_to_the_rate_of_the_probe() -> None:
    prober = Prober()
    probe = prober.due(MEGABIT, CEILING, None, 0.0)
    assert probe
    assert cluster(prober, probe, 4 * MEGABIT, 0.0, burst=5) == pytest.approx(3 * MEGABIT)


def test_half_a_cluster_says_nothing_and_is_given_up() -> None:
    prober = Prober()
    probe = prober.due(MEGABIT, CEILING, MEGABIT, 0.0)
    assert probe
    for number in range(3):
        assert prober.arrived(probe.number, (0.0, number * 0.003, 1200), 0.1) is None
    assert prober.due(MEGABIT, CEILING, MEGABIT, 1.5) is None
    assert prober.due(MEGABIT, CEILING, MEGABIT, 2.1) is not None
    assert prober.arrived(probe.number, (0.0, 0.1, 12_000), 2.2) is None


def test_nothing_is_probed_near_the_ceiling_nor_for_a_flow_that_sleeps() -> None:
    prober = Prober()
    assert prober.due(0.8 * CEILING, CEILING, MEGABIT, 0.0) is None
    assert prober.due(MEGABIT, CEILING, None, 0.0) is not None
    assert prober.due(MEGABIT, CEILING, 1000.0, 10.0) is None
    assert prober.due(MEGABIT, CEILING, 0.5 * MEGABIT, 11.0) is not None


def test_probes_that_end_in_congestion_become_rare() -> None:
    prober, now, gaps = Prober(), 0.0, []
    for _ in range(6):
        began = now
        while prober.due(MEGABIT, CEILING, MEGABIT, now) is None:
            now += 0.1
        gaps.append(now - began)
        prober.congested(MEGABIT, now + 0.3)
    assert gaps[-1] > 25
    prober.congested(MEGABIT, now + 10)
    assert prober.due(MEGABIT, CEILING, MEGABIT, now + 12.1) is not None


def test_a_hint_brings_the_next_one_forward() -> None:
    prober = Prober()
    assert prober.due(MEGABIT, CEILING, MEGABIT, 0.0)
    prober.hint(1.0)
    assert prober.due(MEGABIT, CEILING, MEGABIT, 1.1) is not None
