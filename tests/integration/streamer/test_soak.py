"""Viewers come and go, also without a word: in the end the streamer holds what it held before."""

import pytest

from appliance.bus.connection import Bus
from appliance.bus.server import EmbeddedServer
from tests.support import viewer
from tests.support.crowd import LEAVES, Crowd, held
from tests.support.room import specification, streamer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

WARM_UP, JOINS, PLACES = 24, 80, 8
KIB_PER_JOIN = 300  # what Python's collector has not come to yet; bench.soak tells it from a leak


@pytest.fixture(autouse=True)
def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The viewers are many, and one machine has them all."""
    monkeypatch.setattr("aiortc.rtcrtpreceiver.decoder_worker", viewer.drain)


async def test_what_viewers_take_they_give_back(server: EmbeddedServer, bus: Bus) -> None:
    in_one_process = {"viewers_max": 1000, "viewers_per_process": 1000}
    async with streamer(bus, specification(server.address, **in_one_process)) as child:
        crowd = Crowd(bus, PLACES, stay_s=1.0)
        await crowd.run(lambda: crowd.joins >= WARM_UP)
        before = await held(bus, child.pid, empty=True)
        joins = crowd.joins
        await crowd.run(lambda: crowd.joins >= joins + JOINS)
        after = await held(bus, child.pid, empty=True)
    print(before, after, crowd.joins - joins, crowd.leaves)
    assert set(crowd.leaves) == set(LEAVES)
    assert (after.files, after.tasks) == (before.files, before.tasks)
    assert after.threads <= before.threads
    assert after.resident_kib - before.resident_kib < KIB_PER_JOIN * JOINS
