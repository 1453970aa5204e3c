"""The agent's desk at the gateway: where instances of this box get and give back their sessions."""

from collections.abc import Callable

from appliance.bus.connection import Bus
from appliance.bus.messages import Screen, SessionGrant, SessionRequest, SessionState, SessionStatus
from appliance.bus.subjects import sessions, state


class SessionDesk:
    """Speaks for the instances of agent `agent`."""

    def __init__(self, agent: str, region: str, bus: Callable[[], Bus]) -> None:
        self._agent = agent
        self._region = region
        self._bus = bus

    async def grant(self, application: str, screen: Screen, *, resume: str | None, idle_time_min: int) -> str:
        """A session for a stream-enabled instance. Raises UnavailableError without a gateway."""
        request = SessionRequest(
            agent=self._agent,
            application=application,
            region=self._region,
            session=resume,
            screen=screen,
            idle_time_min=idle_time_min,
        )
        return (await self._bus().request(sessions(self._agent), request, SessionGrant)).session

    async def report(self, session: str, status: SessionStatus, message: str, instance: str) -> None:
        """Tell the gateways what became of `session`."""
        news = SessionState(session=session, status=status, message=message, instance=instance)
        await self._bus().publish(state(session), news)
