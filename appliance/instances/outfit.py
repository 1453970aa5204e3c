"""What an instance is given before it starts, and what is taken back when it has ended."""

import asyncio
import logging
from pathlib import Path

from appliance.errors import UnavailableError
from appliance.instances.belongings import Belongings
from appliance.instances.enforcers import find_enforcer
from appliance.instances.instance import Instance
from appliance.instances.limits import Limiter, Limits
from appliance.instances.plan import Plan
from appliance.instances.sound import SoundServer, is_wanted

logger = logging.getLogger(__name__)


class Outfitter:
    """Directories with what clients sent, below `root`, sound servers, and limits."""

    def __init__(self, root: Path) -> None:
        self.belongings = Belongings(root)
        self._limiter = Limiter(find_enforcer)

    async def equip(self, instance: Instance, plan: Plan, *, sound: bool) -> None:
        """Set its environment, and what its programs run within; with `sound` also what they play to.

        Raises UnavailableError.
        """
        try:
            instance.env = await asyncio.to_thread(self.belongings.hand_over, instance)
        except OSError as exc:
            raise UnavailableError(f"instance {instance.id}: its directory: {exc}") from exc
        if sound and plan.own_screen:
            instance.sound = await asyncio.to_thread(self._sound_server, instance)
        if instance.sound:
            instance.env |= instance.sound.env
        application = instance.application
        limits = instance.wish.limits or Limits(application.cpus, application.memory_mb << 20)
        if limits and not plan.programs:
            instance.limited = f"nothing to limit: {plan.source} runs no program of its own"
        elif limits:
            instance.within, instance.limited = await self._limiter.confine(instance.id, limits)

    def _sound_server(self, instance: Instance) -> SoundServer | None:
        if not is_wanted(instance.env):
            return None
        try:
            return SoundServer(self.belongings.sound(instance.id))
        except OSError as exc:
            logger.warning("instance %s: no sound server of its own: %s", instance.id, exc)
            return None

    async def take_back(self, instance: Instance) -> str:
        """What it leaves is removed; returns why it ended, where its limits were the cause."""
        if instance.sound:
            instance.sound.close()
        await asyncio.to_thread(self.belongings.remove, instance.id)
        return await self._limiter.release(instance.id)
