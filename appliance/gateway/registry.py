"""The boxes: what agents announced last, and which of them can host an application."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from appliance.bus.connection import Bus
from appliance.bus.messages import AgentAnnounce, InstanceInfo
from appliance.bus.subjects import ANNOUNCE_ALL, announce

FRESH_SECONDS = 8.0
"""Three periods of the heartbeat: an agent that is silent for longer gets no new sessions."""
_FORGET_SECONDS = 60.0


@dataclass(slots=True)
class _Heard:
    announce: AgentAnnounce
    at: float
    instances: dict[str, InstanceInfo]
    """By session."""


class Registry:
    """Fed by heartbeats; every gateway node has its own, and all hear the same."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: dict[str, _Heard] = {}
        self._hosts: dict[str, str] = {}
        """Agents by session."""

    async def follow(self, bus: Bus) -> None:
        """Listen to announces until cancelled."""
        async with bus.subscribe(ANNOUNCE_ALL, AgentAnnounce) as announces:
            async for subject, message in announces:
                if subject == announce(message.id):  # the bus lets a box speak for itself only
                    self.hear(message)

    def hear(self, message: AgentAnnounce) -> None:
        """Note one heartbeat, or a goodbye."""
        now = self._clock()
        self._forget(message.id)
        if not message.leaving:
            instances = {each.session: each for each in message.instances if each.session}
            self._heard[message.id] = _Heard(message, now, instances)
            self._hosts.update(dict.fromkeys(instances, message.id))
        for old in [key for key, each in self._heard.items() if now - each.at >= _FORGET_SECONDS]:
            self._forget(old)

    def _forget(self, agent: str) -> None:
        if heard := self._heard.pop(agent, None):
            for session in heard.instances:
                if self._hosts.get(session) == agent:
                    del self._hosts[session]

    def agents(self) -> list[AgentAnnounce]:
        """Agents that answer."""
        now = self._clock()
        return [each.announce for each in self._heard.values() if now - each.at < FRESH_SECONDS]

    def agent(self, name: str) -> AgentAnnounce | None:
        """The agent if it answers."""
        heard = self._heard.get(name)
        return heard.announce if heard and self._clock() - heard.at < FRESH_SECONDS else None

    def unresponsive(self) -> int:
        """How many agents fell silent without a goodbye."""
        return len(self._heard) - len(self.agents())

    def candidates(self, application: str | None, region: str = "") -> list[AgentAnnounce]:
        """Agents that can launch `application`, the best first: free encoder slots, free slots, load.

        None is what every box can: show what somebody else sends.
        """
        able = [
            each
            for each in self.agents()
            if each.slots_free > 0
            and region in ("", each.region)
            and (application is None or any(known.name == application for known in each.applications))
        ]
        return sorted(able, key=_rank)

    def applications(self) -> list[str]:
        """What can be launched somewhere."""
        return sorted({known.name for each in self.agents() for known in each.applications})

    def regions(self) -> list[str]:
        """Where agents are."""
        return sorted({each.region for each in self.agents() if each.region})

    def instance_of(self, session: str) -> InstanceInfo | None:
        """The instance that announces itself as that of `session`."""
        told = self.told_of(session)
        return told[0] if told and self._clock() - told[1] < FRESH_SECONDS else None

    def told_of(self, session: str) -> tuple[InstanceInfo, float] | None:
        """The instance of `session`, and when its agent announced it last."""
        if (agent := self._hosts.get(session)) is None:
            return None
        heard = self._heard[agent]
        return heard.instances[session], heard.at


def _rank(agent: AgentAnnounce) -> tuple[int, int, float, str]:
    return -agent.encoders_free, -agent.slots_free, agent.load, agent.id
