import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from appliance.instances import standby as standby_module
from appliance.instances.standby import Standby
from appliance.processes import Child, child

pytestmark = pytest.mark.integration


async def test_several_at_once_leave_one_in_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Child] = []
    more = asyncio.Event()

    @asynccontextmanager
    async def counted(arguments: Sequence[str], **options: Any) -> AsyncIterator[Child]:
        async with child(["sleep", "60"], **options) as one:
            made.append(one)
            more.set()
            yield one

    async def in_all(number: int) -> None:
        while len(made) < number:
            more.clear()
            await more.wait()

    monkeypatch.setattr(standby_module, "child", counted)
    monkeypatch.setattr(standby_module, "_PAUSE_SECONDS", 0.05)
    standby = Standby()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(standby.run())
        await in_all(1)
        async with asyncio.timeout(10), standby.take("a"), standby.take("b"):
            await in_all(3)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await in_all(4)
        running.cancel()
    assert all(each.process.returncode is not None for each in made)
