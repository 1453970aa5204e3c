"""All viewers in the cloud, and the session that they are shown, which may come and go."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from appliance.about import about
from appliance.bus.connection import Bus
from appliance.bus.messages import IceServer, Role
from appliance.bus.stats import InstanceStats
from appliance.bus.subjects import stats_of
from appliance.signaling.kinesis import Action, Delivery, Request, is_client_id
from appliance.uplink.viewer import CloudViewer

logger = logging.getLogger(__name__)

_MOST_VIEWERS = 100
"""AWS lets ten in; whoever sends for more is no service of AWS."""
_STREAM_SECONDS = 30.0
"""How long a viewer waits for an application that starts."""


class Audience:
    """`find` gives the session to show, if there is one; `closed` tells whether nobody new comes in."""

    def __init__(
        self,
        box: str,
        bus: Callable[[], Bus],
        role: Role,
        *,
        find: Callable[[], str | None],
        closed: Callable[[], bool],
        ice_servers: Callable[[], Awaitable[list[IceServer]]],
        say: Callable[[Request], None],
    ) -> None:
        self._box = box
        self._bus = bus
        self._role = role
        self._find = find
        self._closed = closed
        self._ice_servers = ice_servers
        self._say = say
        self._viewers: dict[str, CloudViewer] = {}
        self._session: str | None = None
        self._streaming = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None

    @property
    def connected(self) -> int:
        """How many get media."""
        return sum(each.connected for each in self._viewers.values())

    @property
    def streaming(self) -> bool:
        """Whether there is something to show."""
        return self._session is not None

    async def run(self) -> None:
        """Serve them until cancelled."""
        self.changed()
        async with (
            self._bus().subscribe(stats_of(self._box), InstanceStats) as all_stats,
            asyncio.TaskGroup() as group,
        ):
            self._group = group
            async for _, stats in all_stats:
                if stats.session == self._session:
                    self._look(stats)

    def changed(self) -> None:
        """Instances came, went or changed."""
        session = self._find()
        if session == self._session:
            return
        if self._session:
            for viewer in self._viewers.values():
                viewer.end()
        self._session = session
        if session:
            self._streaming.set()
        else:
            self._streaming.clear()

    def receive(self, delivery: Delivery) -> None:
        """What a viewer sent to the master."""
        client = delivery.sender
        if delivery.action is Action.ANSWER or not is_client_id(client):
            logger.info("uplink: %s from %r means nothing", delivery.action, client[:64])
            return
        viewer = self._viewers.get(client)
        if viewer is None or viewer.over:
            viewer = self._welcome(client)
        if viewer:
            viewer.receive(delivery)

    def _welcome(self, client: str) -> CloudViewer | None:
        if self._group is None or self._closed() or len(self._viewers) >= _MOST_VIEWERS:
            logger.info("uplink: viewer %s is not let in", client)
            return None
        viewer = CloudViewer(client, self._bus(), self._role, ice_servers=self._ice_servers, say=self._say)
        self._viewers[client] = viewer
        self._group.create_task(self._host(viewer), name=f"cloud viewer {client}")
        return viewer

    async def _host(self, viewer: CloudViewer) -> None:
        try:
            async with asyncio.timeout(_STREAM_SECONDS):
                await self._streaming.wait()
            session = self._session or ""
            with about(session=session):
                logger.info("uplink: viewer %s comes as %s", viewer.client, viewer.peer)
                await viewer.run(session)
                logger.info("uplink: viewer %s is gone", viewer.client)
        except TimeoutError:
            logger.info("uplink: viewer %s found nothing to see", viewer.client)
        except Exception:
            logger.exception("uplink: viewer %s failed", viewer.client)
        finally:
            viewer.end()
            if self._viewers.get(viewer.client) is viewer:
                del self._viewers[viewer.client]

    def _look(self, stats: InstanceStats) -> None:
        present = {each.id: each for each in stats.viewers}
        for viewer in self._viewers.values():
            viewer.seen(present.get(viewer.peer))
