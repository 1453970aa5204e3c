"""The bitrate of an encoder that many watch: whoever is at the controls decides.

Who types sees at once what the typing does: the picture is made for the slowest way to anybody who
controls. Those who only watch never make it worse for the others; where nobody controls, it is made
for the one with the best way, and who cannot follow gets less of it.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

logger = logging.getLogger(__name__)

FLOOR_KBPS = 300
"""Below this a desktop cannot be read; frames are dropped instead."""
SHARE = 0.95
"""Of what a viewer can be sent; the rest is for sound and for packets that are sent again."""
_NOTICEABLE = 0.05
_RISE_S = 0.25
_LOOK_S = 0.1


class Viewer(Protocol):
    """One of those who watch."""

    @property
    def controls(self) -> Callable[[], bool]:
        """Whether it may type."""

    @property
    def target_bps(self) -> int | None:
        """What it can be sent; None is not known."""


def wanted_kbps(viewers: Iterable[Viewer], ceiling_kbps: int) -> int:
    """What the encoder should give these viewers."""
    known = [(viewer.controls(), viewer.target_bps) for viewer in viewers]
    controlling = [target for controls, target in known if controls and target is not None]
    watching = [target for controls, target in known if not controls and target is not None]
    if controlling:
        target = min(controlling)
    elif watching and not any(controls for controls, _ in known):
        target = max(watching)
    else:
        return ceiling_kbps
    return min(max(int(target * SHARE / 1000), FLOOR_KBPS), ceiling_kbps)


class Steering:
    """Keeps one encoder at what its viewers want: down at once, up with patience.

    `wanted` makes one bitrate of all viewers and the ceiling, in kb/s.
    """

    def __init__(
        self,
        set_kbps: Callable[[int], None],
        ceiling_kbps: int,
        clock: Callable[[], float] = time.monotonic,
        wanted: Callable[[Iterable[Viewer], int], int] = wanted_kbps,
    ) -> None:
        self.kbps = ceiling_kbps
        """What the encoder was last told."""
        self._set_kbps = set_kbps
        self._ceiling_kbps = ceiling_kbps
        self._clock = clock
        self._wanted = wanted
        self._viewers: set[Viewer] = set()
        self._looked = self._rose = float("-inf")

    @contextlib.contextmanager
    def heed(self, viewer: Viewer) -> Iterator[None]:
        """Let this one have its say."""
        self._viewers.add(viewer)
        try:
            yield
        finally:
            self._viewers.discard(viewer)
            self._rose = float("-inf")  # nobody may be left who tells of anything, and so makes it look again
            self.look()

    def heard(self, viewer: Viewer) -> None:
        """There is news of `viewer`."""
        target = viewer.target_bps
        urgent = target is not None and target < self.kbps * 1000 and viewer.controls()
        if urgent or self._clock() - self._looked >= _LOOK_S:
            self.look()

    def look(self) -> None:
        """Steer, if there is a reason."""
        now = self._looked = self._clock()
        wanted = self._wanted(self._viewers, self._ceiling_kbps)
        if wanted > self.kbps:
            small = wanted < self.kbps * (1 + _NOTICEABLE) and wanted < self._ceiling_kbps
            if small or now - self._rose < _RISE_S:
                return
            self._rose = now
        elif wanted >= self.kbps * (1 - _NOTICEABLE):
            return
        logger.debug("the encoder is steered to %d kb/s", wanted)
        self.kbps = wanted
        self._set_kbps(wanted)
