"""What a gateway that stands alone leaves to its boxes, it says in words."""

from pathlib import Path
from typing import Any, cast

import pytest

from appliance.control.schema import PublishParams
from appliance.errors import InvalidInputError
from appliance.gateway_controller import GatewayController
from appliance.logs import RingBuffer

pytestmark = pytest.mark.unit


async def test_what_boxes_do_is_asked_of_them(tmp_path: Path) -> None:
    controller = GatewayController(
        node="g1", name="gate", region="", bus=lambda: cast("Any", None), gateway=cast("Any", None),
        state_dir=tmp_path, location="", parts=list, problems=list, records=RingBuffer(),
    )  # fmt: skip
    for asked, verb in (
        (controller.record_start("desktop"), "record"),
        (controller.record_stop("desktop"), "record"),
        (controller.screenshot("desktop"), "screenshot"),
        (controller.publish(PublishParams(instance="desktop")), "publish"),
        (controller.instance_logs("desktop", ""), "instances logs"),
    ):
        with pytest.raises(InvalidInputError, match=f"`fanlight {verb}` there"):
            await asked
