"""A box without its daemon: the uplink, a bus, and a streamer that only says what real ones say."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.bus import subjects
from appliance.bus.connection import Bus, connect
from appliance.bus.messages import InstanceStats, ViewerStats
from appliance.config import KinesisUplinkSection
from appliance.uplink.service import Uplink
from tests.support.gateway import FakeStreamer, nats_server, serving, until

SESSION = "box1-s1"


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
        stats = InstanceStats(instance="box1-i1", session=SESSION, viewers=list(viewers))
        await self.bus.publish(subjects.stats("box1-i1"), stats)

    async def reads(self, words: str) -> None:
        """Wait until the status does."""
        try:
            await until(lambda: words in self.uplink.detail)
        except TimeoutError:
            raise AssertionError(f"{words!r} is not in {self.uplink.detail!r}") from None


@contextlib.asynccontextmanager
async def uplinked(directory: Path, endpoint: str, **settings: Any) -> AsyncIterator[Site]:
    """An uplink to the channel `demo` at `endpoint`."""
    fields = {"region": "eu-north-1", "channel": "demo", "endpoint": endpoint}
    section = KinesisUplinkSection.model_validate(fields | settings)
    async with nats_server(directory / "box") as server, connect(server.address, name="box") as bus:
        site = Site(bus)
        site.uplink = Uplink(
            "box1", section, lambda: bus, find=lambda: site.session, closed=lambda: site.draining
        )
        async with serving(site.uplink):
            yield site
