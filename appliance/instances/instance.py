"""An instance: what it is asked to be, and what is known of it while it runs."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from appliance.bus.messages import InstanceState, Publication, Screen, ScreenWish, SessionStatus
from appliance.bus.spec import EncoderChoice
from appliance.bus.stats import InstanceStats
from appliance.config import ApplicationSection
from appliance.instances.idle import IdlePolicy
from appliance.instances.limits import UNLIMITED, Limits
from appliance.instances.plan import FoundDisplay
from appliance.instances.sound import SoundServer
from appliance.instances.supervisor import Supervisor

_REMEMBERED = 1024
"""Files of a recording: a week of them."""

Preference = Literal["gpu", "gpu-preferred", "software"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What an instance is asked to be; None is what its application is configured to be."""

    screen: ScreenWish | None = None
    streaming: bool = True
    version: int | None = None
    """Of the application, for the application itself: what a box has is one version of each."""
    userdata: str = ""
    extra_data: Any = None
    """JSON of any kind."""
    video: Preference | None = None
    gpu_slots: int = 1
    gpu_vendor: str = ""
    """In lower case; empty: any."""
    limits: Limits = UNLIMITED
    record: bool = False
    """Also where its application is not configured to be."""
    channel: bool = False
    """The application is the channel of this name, whose master is shown."""


AS_CONFIGURED = Wish()


@dataclass(slots=True)
class Instance:
    """A running application. Once it has ended, `state` is STOPPED or ERROR, and `detail` says why."""

    id: str
    application: ApplicationSection
    screen: Screen
    """As it is now, and as a streamer that starts anew shows it."""
    session: str | None
    idle: IdlePolicy
    wish: Wish = AS_CONFIGURED
    state: InstanceState = InstanceState.PREPARED
    detail: str = ""
    why: str = ""
    """Why this is its screen."""
    since: float = field(default_factory=time.monotonic)
    created_at: float = field(default_factory=time.time)
    env: dict[str, str] = field(default_factory=dict)
    """Of its programs."""
    within: list[str] = field(default_factory=list)
    """What goes before the commands of its programs, so that they keep within their limits."""
    sound: SoundServer | None = None
    """Of its own; None: its programs play where those of the machine do."""
    limited: str = ""
    """How its limits are enforced, or why not; empty where it has none."""
    publication: Publication = field(default_factory=Publication)
    """Where its stream goes as well, also of a streamer that starts anew."""
    record: bool = False
    """Whether it is recorded, also by a streamer that starts anew."""
    recorded: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    """The names of the files since it is."""
    stats: InstanceStats | None = None
    supervisor: Supervisor | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    stop_reason: str = ""
    anew: bool = False
    """Stopped, but not because anybody wished so: it may start by itself again."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def note_recording(self) -> None:
        """Remember the file that is being recorded."""
        file = self.stats.recording if self.stats else ""
        if file and file not in self.recorded:
            self.recorded.append(file)

    @property
    def stored(self) -> bool:
        """Whether it records what a master sends, which is as good as a viewer."""
        return bool(self.wish.channel and self.stats and self.stats.recording and not self.stats.problem)


class Sessions(Protocol):
    """Where instances get their sessions: the agent's desk at the gateway."""

    async def grant(self, application: str, screen: Screen, *, resume: str | None, idle_time_min: int) -> str:
        """The id of a session for a stream-enabled instance, the earlier one where it still is."""

    async def report(self, session: str, status: SessionStatus, message: str, instance: str) -> None:
        """Tell the gateways what became of `session`."""


class FoundGpu(Protocol):
    """A GPU as hw/ reports it; empty strings for what it does not have."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def vendor(self) -> str:
        """`NVIDIA`, `AMD`, `Intel`..."""

    @property
    def pci(self) -> str:
        """PCI slot."""

    @property
    def render_node(self) -> str:
        """`/dev/dri/renderD128`."""

    @property
    def numa_node(self) -> int | None:
        """None where the machine has none, or does not say."""


class Machine(Protocol):
    """What hw/ knows, as far as instances care."""

    def displays(self) -> Sequence[FoundDisplay]:
        """Displays of this machine."""

    def gpus(self) -> Sequence[FoundGpu]:
        """GPUs of this machine."""

    def encoding_gpus(self) -> Sequence[str]:
        """Render nodes of the GPUs that can encode, best first."""

    def encoders(self, video: Preference, *, render_node: str | None) -> list[EncoderChoice]:
        """The ladder of encoders on this GPU (None: in software), best first.

        Raises NoCapacityError where `gpu` is asked and none is.
        """
