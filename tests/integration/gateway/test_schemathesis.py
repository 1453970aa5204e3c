"""Generated calls, valid and not, single and in sequence, against `/openapi.json` of a real gateway."""

from pathlib import Path

import pytest

from appliance.bus.server import Listen
from tests.support.gateway import FakeAgent, serving, settings, street
from tests.support.generated import survives

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

EXAMPLES = 40


async def test_no_generated_call_finds_a_fault(tmp_path: Path) -> None:
    config = settings(limits={"requests_per_second": 100_000}, bus={"listen": "127.0.0.1:4222"})
    boxes = Listen("127.0.0.1", 0)
    async with street(tmp_path, config, boxes) as here, serving(FakeAgent(here.bus)):
        codes = [(await here.gateway.create_code(""))[0].partition(".")[0] for _ in range(EXAMPLES)]
        pin, _ = await here.gateway.new_pin()
        async with here.http.post(here.base + "/fanlight/pair", json={"pin": pin}) as answer:
            device = answer.cookies["fanlight_device"].value
        await survives(
            f"{here.base}/openapi.json",
            tmp_path,
            examples=EXAMPLES,
            tokens={"API_TOKEN": await here.token(), "DEVICE_TOKEN": device, "ENROLL_CODES": " ".join(codes)},
        )
        assert await here.gateway.boxes(), "/fanlight/enroll was never called with all that it needs"
        assert (await here.api("GET", "/healthz"))[0] == 200
