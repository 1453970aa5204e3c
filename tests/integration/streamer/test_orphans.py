"""Who listens for a viewer, asked of a real bus."""

from dataclasses import dataclass

import pytest

from appliance.bus import subjects
from appliance.bus.connection import Bus
from appliance.bus.messages import PeerReply
from appliance.streamer.orphans import Orphans

pytestmark = pytest.mark.integration


@dataclass
class Viewer:
    id: str
    connected: bool = False
    closes: int = 0

    def closed(self) -> None:
        self.closes += 1


async def test_a_viewer_without_media_whose_gateway_was_killed_is_found_at_the_second_look(bus: Bus) -> None:
    listened, left, playing = Viewer("a-1"), Viewer("b-2"), Viewer("c-3", connected=True)
    orphans = Orphans(bus, "s1", lambda: (listened, left, playing))
    async with bus.subscribe(subjects.down("s1", listened.id), PeerReply):
        await orphans.look()
        assert (listened.closes, left.closes, playing.closes) == (0, 0, 0)
        await orphans.look()
        assert (listened.closes, left.closes, playing.closes) == (0, 1, 0)
    playing.connected = False
    await orphans.look()
    assert (listened.closes, playing.closes) == (1, 0)
    await orphans.look()
    assert playing.closes == 1
