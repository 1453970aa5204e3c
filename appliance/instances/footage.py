"""What an instance is asked for while it runs: to be recorded or not any more, and a picture of it."""

from appliance.bus.connection import Bus
from appliance.bus.messages import Picture, Recorded, RecordOrder, ScreenshotOrder
from appliance.bus.subjects import recording, screenshot
from appliance.errors import InvalidInputError
from appliance.instances.instance import Instance

_DISK_S = 20.0
_PICTURE_S = 10.0


async def record(bus: Bus, instance: Instance, *, on: bool) -> set[str]:
    """Begin, or end and return the names of the files since the beginning, also those of earlier streamers.

    Raises InvalidInputError where it does not stream, ConflictError where it is so already, UnavailableError.
    """
    order = RecordOrder(on=on)
    told = await bus.request(recording(_session(instance)), order, Recorded, timeout_s=_DISK_S)
    files = {*instance.recorded, *told.files}
    instance.record = on
    instance.recorded.clear()
    return files


async def picture(bus: Bus, instance: Instance) -> Picture:
    """What it shows now, encoded. Raises InvalidInputError where it does not stream, UnavailableError."""
    return await bus.request(screenshot(_session(instance)), ScreenshotOrder(), Picture, timeout_s=_PICTURE_S)


def _session(instance: Instance) -> str:
    if not instance.session:
        raise InvalidInputError(f"instance {instance.id} was launched without streaming")
    return instance.session
