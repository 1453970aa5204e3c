"""The boxes: what agents announced last, and which of them can host an application."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from appliance.bus.connection import Bus
from appliance.bus.messages import AgentAnnounce, InstanceInfo
from appliance.bus.subjects import ANNOUNCE_ALL, agent_of, announce, belongs

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

    async def follow(self, bus: Bus) -> None:
        """Listen to announces until cancelled."""
        async with bus.subscribe(ANNOUNCE_ALL, AgentAnnounce) as announces:
            async for subject, message in announces:
                if subject == announce(message.id):  # the bus lets a box speak for itself only
                    self.hear(message)

    def hear(self, message: AgentAnnounce) -> None:
        """Note one heartbeat, or a goodbye; what it says of other boxes is passed over."""
        now = self._clock()
        self._heard.pop(message.id, None)
        if not message.leaving:
            own = [each for each in message.instances if _is_of(each, message.id)]
            instances = {each.session: each for each in own if each.session}
            self._heard[message.id] = _Heard(message.model_copy(update={"instances": own}), now, instances)
        for old in [key for key, each in self._heard.items() if now - each.at >= _FORGET_SECONDS]:
            del self._heard[old]

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

    def hosted(self) -> list[tuple[str, str]]:
        """Agents that answer, each with every session whose instance it announces."""
        now = self._clock()
        fresh = [(name, each) for name, each in self._heard.items() if now - each.at < FRESH_SECONDS]
        return [(name, session) for name, each in fresh for session in each.instances]

    def instance_of(self, session: str) -> InstanceInfo | None:
        """The instance that announces itself as that of `session`."""
        told = self.told_of(session)
        return told[0] if told and self._clock() - told[1] < FRESH_SECONDS else None

    def told_of(self, session: str) -> tuple[InstanceInfo, float] | None:
        """The instance of `session`, and when its agent announced it last."""
        heard = self._heard.get(agent_of(session))
        if heard is None or session not in heard.instances:
            return None
        return heard.instances[session], heard.at


def _is_of(instance: InstanceInfo, agent: str) -> bool:
    return all(belongs(each, agent) for each in (instance.id, instance.session) if each is not None)


def _rank(agent: AgentAnnounce) -> tuple[int, int, float, str]:
    return -agent.encoders_free, -agent.slots_free, agent.load, agent.id
