"""What the UI needs of a daemon; ControlClient is one, tests script another."""

from collections.abc import AsyncIterator
from typing import Protocol, TypeVar

from pydantic import BaseModel

from appliance.control.schema import Model
from appliance.control.snapshot import Snapshot

M = TypeVar("M", bound=BaseModel)


class Appliance(Protocol):
    """A daemon that can be asked and watched. Both raise FanlightError."""

    async def call(self, method: str, params: Model | None, reply: type[M]) -> M:
        """Call a method of the control API."""

    def watch(self) -> AsyncIterator[Snapshot]:
        """Yield the whole state, again and again."""
