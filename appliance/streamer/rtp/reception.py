"""What is known of the way to one viewer, from its RTCP."""

import logging
import math
import time
from collections.abc import Callable

from appliance.errors import InvalidInputError
from appliance.streamer.rtp import transport_feedback
from appliance.streamer.rtp.bandwidth import BandwidthEstimator
from appliance.streamer.rtp.protection import Protection
from appliance.streamer.rtp.transport_feedback import Feedback

logger = logging.getLogger(__name__)

_HEADROOM = 2
"""How far above the configured bitrate the estimate may go: what is beyond is of no use to know."""
_AMPLE = 1.25
"""A way known to carry so many times what is ever sent needs no pacing."""
_SILENT_S = 20.0
"""Longer than the pause between the frames of a still screen (capture/cadence.py)."""


class Reception:
    """One viewer's estimate, and whether anything rests on it. `controls` tells whether the viewer may type.

    `most_bps` is what the encoder is configured to send. `changed` is called after every message.
    """

    def __init__(
        self,
        most_bps: int,
        floor_bps: int,
        *,
        controls: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.controls = controls
        self.estimator = BandwidthEstimator(
            start_bps=most_bps, floor_bps=floor_bps, ceiling_bps=_HEADROOM * most_bps
        )
        self.changed: Callable[[Reception], None] = lambda _: None
        self.protection = Protection()
        self._most_bps = most_bps
        self._clock = clock
        self.heard_at: float | None = None
        """When it last said anything."""
        self.pacing_bps = math.inf
        """What the pacer has to keep to; infinite while there is no reason to hold anything back."""
        self.revision = 0
        """Rises with all that may have changed these two."""

    @property
    def target_bps(self) -> int | None:
        """What this viewer can be sent of the picture; None where it never said, or said nothing for long."""
        if self.heard_at is None or self._clock() - self.heard_at > _SILENT_S:
            return None
        return int(self.estimator.target_bps * (1 - self.protection.share))

    def transport_feedback(self, fci: bytes) -> None:
        """A message of draft-holmer-rmcat-transport-wide-cc-extensions-01."""
        try:
            feedback = transport_feedback.parse(fci)
        except InvalidInputError as exc:
            logger.debug("a viewer sent malformed transport feedback: %s", exc)
            return
        self.take(feedback)

    def take(self, feedback: Feedback) -> None:
        """What such a message says."""
        self.heard_at = self._clock()
        self.estimator.on_feedback(feedback, self.heard_at)
        self._pace()
        self.changed(self)

    def report(self, lost: float) -> None:
        """The share of packets that were lost since the last receiver report (RFC 3550 section 6.4.1)."""
        self.estimator.on_report(lost, self._clock())
        self._pace()

    def remb(self, bps: int) -> None:
        """A message of draft-alvestrand-rmcat-remb."""
        self.heard_at = self._clock()
        self.estimator.on_remb(bps, self.heard_at)
        self._pace()
        self.changed(self)

    def silence(self, now: float) -> None:
        """To be called some times a second: who does not say what is due gets less."""
        if self.estimator.on_silence(now):
            self._pace()

    def _pace(self) -> None:
        target = self.estimator.target_bps
        ample = self.heard_at is None or target >= _AMPLE * self._most_bps
        self.pacing_bps = math.inf if ample else target
        self.revision += 1
