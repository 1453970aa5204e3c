"""Who listens for a viewer, asked of a real bus."""

from dataclasses import dataclass

import pytest

from appliance.bus import subjects
from appliance.bus.connection import Bus
from appliance.bus.peer_messages import PeerReply
from appliance.streamer.orphans import Orphans

pytestmark = pytest.mark.integration


@dataclass
class Viewer:
    id: str
    connected: bool = False
    orphaned: bool = False

    def closed(self) -> None:
        assert not self.orphaned, "once is enough"
        self.orphaned = True


async def test_a_viewer_without_media_whose_gateway_was_killed_is_found_at_the_second_look(bus: Bus) -> None:
    listened, left, playing = viewers = Viewer("a-1"), Viewer("b-2"), Viewer("c-3", connected=True)
    orphans = Orphans(bus, "s1", lambda: viewers)

    def orphaned() -> list[Viewer]:
        return [each for each in viewers if each.orphaned]

    async with bus.subscribe(subjects.down("s1", listened.id), PeerReply):
        await orphans.look()
        assert orphaned() == []
        await orphans.look()
        assert orphaned() == [left]
    playing.connected = False
    await orphans.look()
    assert orphaned() == [listened, left]
    await orphans.look()
    assert orphaned() == [listened, left, playing]
