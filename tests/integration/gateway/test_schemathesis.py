"""Generated calls, valid and not, single and in sequence, against `/openapi.json` of a real gateway."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.support.gateway import FakeAgent, serving, settings, street

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SECONDS = 300
EXAMPLES = "40"


async def test_no_generated_call_finds_a_fault(tmp_path: Path) -> None:
    config = settings(limits={"requests_per_second": 100_000})
    async with street(tmp_path, config) as here, serving(FakeAgent(here.bus)):
        pin, _ = await here.gateway.new_pin()
        async with here.http.post(here.base + "/fanlight/pair", json={"pin": pin}) as answer:
            device = answer.cookies["fanlight_device"].value
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("schemathesis")),
            f"--config-file={HERE / 'schemathesis.toml'}",
            "run",
            f"{here.base}/openapi.json",
            "--checks=all",
            # A session that was deleted is told of as `terminated` for a while; shares are gone at once.
            "--exclude-checks=use_after_free",
            "--phases=examples,coverage,fuzzing,stateful",
            f"--max-examples={EXAMPLES}",
            "--max-response-time=20",
            "--seed=1",
            "--continue-on-failure",
            env=os.environ
            | {
                "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks",
                "PYTHONPATH": str(ROOT),
                "API_TOKEN": await here.token(),
                "DEVICE_TOKEN": device,
            },
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(SECONDS):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, output.decode(errors="replace")[-20_000:]
        assert (await here.api("GET", "/healthz"))[0] == 200
