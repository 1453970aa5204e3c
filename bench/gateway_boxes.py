"""Many boxes in one process for `bench.gateway`: real agents, and instances that say what real ones say.

`python -m bench.gateway_boxes COUNT` prints `ready`; the bus is in the environment. An instance is active
at once, sends its statistics once a second, and answers `discover`, and `settings` with an offer of the
size that offers have.
"""

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count

from nats.aio.msg import Msg

from appliance.agent.service import Agent
from appliance.bus import subjects
from appliance.bus.connection import Bus, BusAddress, connect
from appliance.bus.messages import (
    ApplicationInfo,
    InstanceInfo,
    InstanceState,
    LaunchRequest,
    SessionState,
    SessionStatus,
    StreamerHello,
)
from appliance.bus.peer_messages import PeerReply
from appliance.bus.stats import InstanceStats
from appliance.signaling import anbox
from tests.support.gateway import serving

APPLICATION = "demo"
SLOTS = 10_000
OFFER_BYTES = 5000
BUS = "FANLIGHT_BENCH_BUS"
"""In the environment: URL, user and password of the bus."""
_ROUNDS_A_SECOND = 20


def bus_address() -> BusAddress:
    """The bus that the benchmark started."""
    url, user, password = os.environ[BUS].split()
    return BusAddress(url, user, password)


class Boxful:
    """The instances of one box."""

    def __init__(self, agent: str, bus: Bus) -> None:
        self._agent = agent
        self._bus = bus
        self.changed: Callable[[], None] = lambda: None
        self._ids = count(1)
        self._instances: dict[str, InstanceInfo] = {}

    def applications(self) -> list[ApplicationInfo]:
        return [ApplicationInfo(name=APPLICATION, kind="test-pattern")]

    def infos(self) -> list[InstanceInfo]:
        return list(self._instances.values())

    draining = False

    def encoders_free(self) -> int:
        return 0

    def slots(self) -> tuple[int, int]:
        return SLOTS - len(self._instances), SLOTS

    async def launch_for(self, request: LaunchRequest) -> str:
        instance, session = f"{self._agent}-{next(self._ids)}", request.session
        self._instances[instance] = InstanceInfo(
            id=instance, application=APPLICATION, state=InstanceState.RUNNING, session=session
        )
        self.changed()
        news = SessionState(session=session, status=SessionStatus.ACTIVE, instance=instance)
        await self._bus.publish(subjects.state(session), news)
        await self._bus.publish(subjects.hello(session), StreamerHello(instance=instance))
        return instance

    async def stop(self, instance_id: str, reason: str, *, anew: bool = False) -> None:  # noqa: ARG002
        found = [key for key, each in self._instances.items() if instance_id in (key, each.session)]
        for key in found:
            del self._instances[key]
        self.changed()


async def tell(boxes: list[Boxful], bus: Bus) -> None:
    """The statistics of every instance once a second, spread over it."""
    while True:
        everyone = [each for box in boxes for each in box.infos()]
        for part in range(_ROUNDS_A_SECOND):
            began = time.monotonic()
            for each in everyone[part::_ROUNDS_A_SECOND]:
                stats = InstanceStats(
                    instance=each.id, session=each.session, pid=1, encoder="x264", codec="H264", width=1280,
                    height=720, fps=0.1, target_fps=60, bitrate_kbps=4.0, target_kbps=8000,
                    source="X11 :0 1280x720", audio="opus 48 kHz from auto_null.monitor", input="X11 :0",
                )  # fmt: skip
                await bus.publish(subjects.stats(each.id), stats)
            await asyncio.sleep(max(0.0, 1 / _ROUNDS_A_SECOND - (time.monotonic() - began)))


def answers(bus: Bus) -> Callable[[Msg], Awaitable[None]]:
    """The streamers of all sessions."""
    discovered = PeerReply(kind="message", text=anbox.resp_discover(fps=60)).model_dump_json().encode()
    sdp = base64.b64encode(b"v=0\r\n" + b"a" * OFFER_BYTES).decode()
    text = json.dumps({"type": "offer", "sdp": sdp})
    offered = PeerReply(kind="message", text=text).model_dump_json().encode()

    async def answer(msg: Msg) -> None:
        if msg.reply:
            await bus.client.publish(msg.reply, b"{}")
            return
        event = json.loads(msg.data)
        for asked, said in ((b'\\"discover\\"', discovered), (b'\\"settings\\"', offered)):
            if asked in msg.data:
                subject = f"{msg.subject.removesuffix('.up')}.down.{event['peer']}"
                await bus.client.publish(subject, said)

    return answer


async def main() -> None:
    async with connect(bus_address(), name="boxes") as bus:
        boxes: list[Boxful] = []
        agents: list[Agent] = []
        for number in range(int(sys.argv[1])):
            name = f"box{number}"
            boxes.append(Boxful(name, bus))
            agents.append(Agent(name, name, "", lambda: bus, boxes[-1]))
            boxes[-1].changed = agents[-1].changed
        await bus.client.subscribe(subjects.up("*-*"), cb=answers(bus))
        async with serving(*agents), asyncio.TaskGroup() as group:
            group.create_task(tell(boxes, bus))
            print("ready", flush=True)
            await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
