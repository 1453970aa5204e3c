"""The picture of an instance as it is now."""

import asyncio
import base64
from collections.abc import Mapping

from appliance.bus.messages import Picture
from appliance.errors import LimitExceededError, UnavailableError
from appliance.streamer.frames import Codec, EncodedFrame
from appliance.streamer.tracks import Rendition

_PATIENCE_S = 8.0
_MOST_BYTES = 750_000
"""In base64 just below the megabyte that nats-server lets through."""


async def screenshot(renditions: Mapping[Codec, Rendition]) -> Picture:
    """A keyframe of one that runs, or of the first, which does for the moment.

    Raises UnavailableError where there is no picture, LimitExceededError where it is too large for the bus.
    """
    codec = next((each for each, running in renditions.items() if running.info), next(iter(renditions), None))
    if codec is None:
        raise UnavailableError("there is no picture yet")
    rendition = renditions[codec]
    try:
        async with asyncio.timeout(_PATIENCE_S):
            frame = await _keyframe(rendition)
    except TimeoutError:
        raise UnavailableError(f"no picture: {rendition.problem or 'none came in time'}") from None
    if len(frame.data) > _MOST_BYTES:
        raise LimitExceededError(f"the picture has {len(frame.data)} bytes, more than {_MOST_BYTES}")
    return Picture(codec=str(codec), data=base64.b64encode(frame.data).decode())


async def _keyframe(rendition: Rendition) -> EncodedFrame:
    with rendition.subscribe() as subscription:
        while subscription.take():
            pass  # what was shown before
        rendition.request_keyframe()
        while not (frame := await subscription.next()).keyframe:
            pass
        return frame
