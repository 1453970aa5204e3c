import pytest

from appliance.streamer.rtp.bandwidth import BandwidthEstimator
from appliance.streamer.rtp.lull import Lull
from appliance.streamer.rtp.sent_packets import Received, Report
from appliance.streamer.rtp.trendline import Trendline
from tests.support.bottleneck import Flow, Link, World

pytestmark = pytest.mark.unit

BASE_S = 500.0
MEGABIT = 1_000_000
CEILING = 10 * MEGABIT


def report(sent: float, *delays: float, missing: int = 0, found: int = 0, untold: int = 0) -> Report:
    """Packets of a message that left at the same time."""
    arrivals = [sent + BASE_S + delay for delay in delays]
    return Report(Received([sent] * len(delays), arrivals, [1000] * len(delays)), missing, found, untold, ())


def test_of_all_but_the_newest_message_the_gist_is_kept() -> None:
    lull = Lull()
    for number in range(4):
        assert lull.goes_on(report(0.1 * number, 0.001, 0.004), BASE_S, 0.1 * number + 0.05)
    assert lull.gist(at_least=4) is None
    gist, heard_at = lull.gist(at_least=3) or pytest.fail("nothing is kept")
    assert (gist.packets, gist.octets, heard_at) == (6, 6000, pytest.approx(0.25))
    assert gist.least_delay == pytest.approx(BASE_S + 0.001)
    assert gist.delays == pytest.approx(6 * BASE_S + 3 * 0.005)
    assert (gist.last_sent, gist.last_arrival) == (pytest.approx(0.2), pytest.approx(BASE_S + 0.204))
    assert lull.gist() is None
    newest, heard_at = lull.newest() or pytest.fail("the newest message is lost")
    assert (newest.received.sent[0], heard_at) == (pytest.approx(0.3), pytest.approx(0.35))
    assert lull.newest() is None


@pytest.mark.parametrize(
    "news",
    [
        report(1.0, 0.001, 0.012),
        report(1.0, -0.011, 0.001),
        report(1.0),
        report(1.0, 0.001, missing=1),
        report(1.0, 0.001, found=1),
        report(1.0, 0.001, untold=1200),
    ],
)
def test_news_ends_it(news: Report) -> None:
    assert not Lull().goes_on(news, BASE_S, 1.1)


def run(link_bps: list[tuple[float, int]], seconds: float) -> tuple[Link, Flow]:
    """One viewer behind a link of these steps."""
    world = World()
    link = Link(world, link_bps)
    flow = Flow(link, BandwidthEstimator(start_bps=MEGABIT, floor_bps=150_000, ceiling_bps=CEILING))
    world.run(seconds)
    return link, flow


def test_a_viewer_with_plenty_makes_little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    add = Trendline.add
    monkeypatch.setattr(Trendline, "add", lambda self, burst: (looked.append(burst), add(self, burst)))
    _, flow = run([(0, 100 * MEGABIT)], 20)
    frames = 20 * 30
    assert flow.target_at(20) >= 0.75 * CEILING
    assert len(looked) < frames / 4


def test_a_link_that_shrinks_is_noticed_as_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [(0, 100 * MEGABIT), (10, 3 * MEGABIT)]
    with_lulls, flow = run(steps, 20)
    monkeypatch.setattr(Lull, "goes_on", lambda *_: False)
    without, _ = run(steps, 20)
    assert with_lulls.longest_queue(10, 20) < without.longest_queue(10, 20) + 0.1
    assert with_lulls.queue_p95(12) < 0.07
    assert flow.target_at(20) < 3.2 * MEGABIT
    assert flow.target_at(20) > 2.4 * MEGABIT
