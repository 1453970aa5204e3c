"""What an instance is given before it starts, and what is taken back when it has ended."""

import asyncio
from pathlib import Path

from appliance.errors import UnavailableError
from appliance.instances.belongings import Belongings
from appliance.instances.enforcers import find_enforcer
from appliance.instances.instance import Instance
from appliance.instances.limits import Limiter, Limits
from appliance.instances.plan import Plan


class Outfitter:
    """Directories with what clients sent, below `root`, and limits."""

    def __init__(self, root: Path) -> None:
        self.belongings = Belongings(root)
        self._limiter = Limiter(find_enforcer)

    async def equip(self, instance: Instance, plan: Plan) -> None:
        """Set its environment, and what its programs run within. Raises UnavailableError."""
        try:
            instance.env = await asyncio.to_thread(self.belongings.hand_over, instance)
        except OSError as exc:
            raise UnavailableError(f"instance {instance.id}: its directory: {exc}") from exc
        application = instance.application
        limits = instance.wish.limits or Limits(application.cpus, application.memory_mb << 20)
        if limits and not plan.programs:
            instance.limited = f"nothing to limit: {plan.source} runs no program of its own"
        elif limits:
            instance.within, instance.limited = await self._limiter.confine(instance.id, limits)

    async def take_back(self, instance: Instance) -> str:
        """What it leaves is removed; returns why it ended, where its limits were the cause."""
        await asyncio.to_thread(self.belongings.remove, instance.id)
        return await self._limiter.release(instance.id)
