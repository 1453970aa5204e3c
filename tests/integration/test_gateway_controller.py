"""What a gateway that stands alone tells of the instances of its boxes, and does to them."""

from pathlib import Path

import pytest

from appliance.control.schema import LaunchParams
from appliance.control.snapshot import Instance, InstanceState
from appliance.gateway_controller import GatewayController
from appliance.logs import RingBuffer
from tests.support.gateway import FakeAgent, FakeStreamer, Street, serving, street, until

pytestmark = pytest.mark.integration


def controller_of(here: Street, state_dir: Path) -> GatewayController:
    return GatewayController(
        node="n",
        name="door",
        region="",
        location="hall",
        bus=lambda: here.bus,
        gateway=here.gateway,
        state_dir=state_dir,
        parts=list,
        problems=list,
        records=RingBuffer(),
    )


async def test_what_runs_on_boxes_is_listed_with_who_watches_and_they_can_be_kicked(tmp_path: Path) -> None:
    async with street(tmp_path) as here:
        controller, agent = controller_of(here, tmp_path), FakeAgent(here.bus)
        async with serving(agent):
            await until(lambda: here.gateway.agents())
            assert controller.snapshot().instances == []
            made = await controller.launch(LaunchParams(application="demo"))
            assert made.session
            await agent.announce()
            await until(lambda: controller.snapshot().instances)
            (told,) = controller.snapshot().instances
            assert told == Instance(
                id=made.instance,
                application="demo",
                state=InstanceState.STARTED,
                session=made.session,
                box="name of box1",
            )
            streamer = FakeStreamer(here.bus, made.session)
            async with serving(streamer):
                await streamer.tell_viewers("v-1")
                await until(lambda: controller.snapshot().instances[0].stats)
                (told,) = controller.snapshot().instances
                assert told.stats
                assert [each.id for each in told.stats.viewers] == ["v-1"]
                await controller.kick("v-1")
                assert (await streamer.next("kick")).peer == "v-1"
                await controller.keyframe(told.id)
                await streamer.next("keyframe")
        assert controller.snapshot().box.location == "hall"
