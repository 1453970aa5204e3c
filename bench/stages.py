"""Where the time of a frame goes, from what the box tells of it (`fanlight::frames`, docs/protocol.md).

Page, box and what draws share one machine: its wall clock and its monotonic clock are all that is needed.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from playwright.async_api import Page

from bench.report import Row, quantile
from bench.viewing import Frame, latencies

_ASK = """
async () => {
  const control = __probe.channels.at(-1);
  if (control.readyState === 'connecting') await new Promise((go) => control.addEventListener('open', go));
  __probe.stamps = [];
  control.addEventListener('message', ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'fanlight::frames') __probe.stamps.push(...JSON.parse(message.data).frames);
  });
  control.send(JSON.stringify({ type: 'fanlight::timing', data: { on: true } }));
}
"""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The box's part of one frame: ms of the wall clock, then of three steps."""

    captured: float
    capture_ms: float
    encode_ms: float
    send_ms: float

    @property
    def sent(self) -> float:
        """When its last packet went to the kernel."""
        return self.captured + self.capture_ms + self.encode_ms + self.send_ms


async def ask_for_stamps(page: Page) -> None:
    """Of the frames from now on."""
    await page.evaluate(_ASK)


async def stamps(page: Page) -> dict[int, Stamp]:
    """What the box told so far, by RTP timestamp; nothing from a box that does not tell."""
    wall_ms = 1000 * (time.time() - time.monotonic())
    rows = await page.evaluate("__probe.stamps")
    return {int(rtp): Stamp(captured + wall_ms, *steps) for rtp, captured, *steps in rows}


def stages(frames: Sequence[Frame], at: Mapping[int, float], told: Mapping[int, Stamp]) -> Row:
    """Medians of every step over the frames that were told of, from drawn to presented."""
    known = [(frame, told[frame.rtp]) for frame, _ in latencies(frames, at) if frame.rtp in told]
    steps = {
        "wait_ms": [stamp.captured - at[frame.code] for frame, stamp in known],
        "capture_ms": [stamp.capture_ms for _, stamp in known],
        "encode_ms": [stamp.encode_ms for _, stamp in known],
        "send_ms": [stamp.send_ms for _, stamp in known],
        "network_ms": [frame.received - stamp.sent for frame, stamp in known if frame.received],
        "show_ms": [
            frame.presented - frame.received - frame.decode_ms for frame, _ in known if frame.received
        ],
    }
    return {"stamped": float(len(known)), **{name: quantile(values, 0.5) for name, values in steps.items()}}
