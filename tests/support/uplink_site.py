"""A box without its daemon: the uplink, a streamer that only says what real ones say, and a gateway's bus."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.bus import subjects
from appliance.bus.connection import Bus, BusAddress, connect
from appliance.bus.nkey import UserKey
from appliance.bus.permits import BoxUser
from appliance.bus.server import EmbeddedServer, Listen
from appliance.bus.stats import InstanceStats, ViewerStats
from appliance.config import KinesisUplinkSection
from appliance.uplink.service import Uplink
from tests.support.gateway import FakeStreamer, serving, until

BOX, SESSION, INSTANCE = "box1", "box1-s1", "box1-i1"


@dataclass
class Site:
    """Where the uplink lives; `session` is that of the application which it shows."""

    bus: Bus
    uplink: Uplink = field(init=False)
    session: str | None = SESSION
    draining: bool = False

    def show(self, session: str | None) -> None:
        """The application begins, or ends."""
        self.session = session
        self.uplink.changed()

    def streamer(self, **options: Any) -> FakeStreamer:
        """Serves the session, once it is served itself."""
        return FakeStreamer(self.bus, SESSION, **options)

    async def tell(self, *viewers: ViewerStats) -> None:
        """The statistics of the streamer."""
        stats = InstanceStats(instance=INSTANCE, session=SESSION, viewers=list(viewers))
        await self.bus.publish(subjects.stats(INSTANCE), stats)

    async def reads(self, words: str) -> None:
        """Wait until the status does."""
        try:
            await until(lambda: words in self.uplink.detail)
        except TimeoutError:
            raise AssertionError(f"{words!r} is not in {self.uplink.detail!r}") from None


@contextlib.asynccontextmanager
async def uplinked(directory: Path, endpoint: str, **settings: Any) -> AsyncIterator[Site]:
    """An uplink to the channel `demo` at `endpoint`; its bus keeps it to what concerns its box."""
    fields = {"region": "eu-north-1", "channel": "demo", "endpoint": endpoint}
    section = KinesisUplinkSection.model_validate(fields | settings)
    server, key = EmbeddedServer(directory / "box", Listen("127.0.0.1", 0)), UserKey.new()
    async with serving(server):
        await server.admit([BoxUser(BOX, key.public)])
        address = BusAddress(server.address.url, seed=key.seed, inbox=subjects.inbox(BOX))
        async with connect(address, name=BOX) as bus:
            site = Site(bus)
            site.uplink = Uplink(
                BOX, section, lambda: bus, find=lambda: site.session, closed=lambda: site.draining
            )
            async with serving(site.uplink):
                yield site
