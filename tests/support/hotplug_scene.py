"""Plugs a fake GPU in and out under a HardwareMonitor; prints one JSON object of what was seen, and when."""

import asyncio
import json
import time

from hw.inventory import HardwareMonitor, Inventory
from tests.support import fake_gpu


async def scene() -> dict[str, object]:
    inventories: asyncio.Queue[Inventory] = asyncio.Queue()
    monitor, started = HardwareMonitor(), asyncio.Event()
    seen: dict[str, object] = {}
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(monitor.serve(started))
        await started.wait()
        seen["before"] = [gpu.name for gpu in monitor.inventory.gpus]
        with monitor.subscribe(inventories.put_nowait):
            for name, act, count in (("add", fake_gpu.add, 1), ("remove", fake_gpu.remove, 0)):
                began = time.monotonic()
                await asyncio.to_thread(act)
                async with asyncio.timeout(30):
                    while len((inventory := await inventories.get()).gpus) != count:
                        pass
                seen[f"{name}_s"] = round(time.monotonic() - began, 3)
                seen[name] = [(gpu.name, gpu.driver, gpu.card, gpu.render_node) for gpu in inventory.gpus]
                async with asyncio.timeout(30):
                    while inventory.reason.startswith("trying"):
                        inventory = await inventories.get()
                seen[f"{name}_reason"] = inventory.reason
        serving.cancel()
    return seen


if __name__ == "__main__":
    fake_gpu.prepare()
    print(json.dumps(asyncio.run(scene())))
