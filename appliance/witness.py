"""The witness: tells the audit trail what becomes of this box's instances and viewers, whoever caused it."""

import asyncio
from collections.abc import Callable

from appliance import audit
from appliance.bus.connection import Bus
from appliance.bus.stats import InstanceStats, ViewerStats
from appliance.bus.subjects import stats_of
from appliance.instances.instance import Instance
from appliance.instances.manager import InstanceManager


class Witness:
    """Compares what is with what was."""

    def __init__(self, agent: str, instances: InstanceManager, bus: Callable[[], Bus]) -> None:
        self._agent = agent
        self._instances = instances
        self._bus = bus
        self._known: dict[str, Instance] = {}
        self._viewers: dict[str, dict[str, ViewerStats]] = {}

    async def serve(self, started: asyncio.Event) -> None:
        """Follow the statistics of all streamers until cancelled."""
        async with self._bus().subscribe(stats_of(self._agent), InstanceStats) as messages:
            started.set()
            async for _, stats in messages:
                if instance := self._known.get(stats.instance):
                    self._look(instance, stats.viewers)

    def changed(self) -> None:
        """Instances came, went or changed."""
        now = self._instances.instances
        for each in [known for key, known in self._known.items() if key not in now]:
            self._look(each, [])
            self._note("end", each, detail=each.stop_reason or each.detail)
        for each in [new for key, new in now.items() if key not in self._known]:
            self._note("start", each)
        self._known = dict(now)
        self._viewers = {key: each for key, each in self._viewers.items() if key in now}

    def _look(self, instance: Instance, viewers: list[ViewerStats]) -> None:
        before = self._viewers.get(instance.id, {})
        present = {each.id for each in viewers}
        after = {each.id: each for each in viewers if each.id in before or each.state == "connected"}
        came = [each for key, each in after.items() if key not in before]
        for gone in [each for key, each in before.items() if key not in present]:
            heir = next((each for each in came if _owner(each) == _owner(gone)), None)
            if heir:  # the same viewer behind another signaling socket (`fanlight::adopt`)
                came.remove(heir)
            else:
                self._note("leave", instance, gone)
        for each in came:
            self._note("join", instance, each)
        self._viewers[instance.id] = after

    @staticmethod
    def _note(event: str, instance: Instance, viewer: ViewerStats | None = None, detail: str = "") -> None:
        audit.record(
            event,
            by=viewer.label if viewer else "",
            session=instance.session,
            instance=instance.id,
            application=instance.application.name,
            viewer=viewer.id if viewer else "",
            role=viewer.role if viewer else "",
            address=viewer.address if viewer else "",
            detail=detail,
        )


def _owner(viewer: ViewerStats) -> str:
    """Peer ids of one device, link or account begin alike."""
    return viewer.id.partition("-")[0]
