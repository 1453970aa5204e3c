"""Generated calls, valid and not, single and in sequence, against an API that describes itself."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SECONDS = 300


async def survives(document: str, directory: Path, *, examples: int, tokens: Mapping[str, str]) -> None:
    """Run schemathesis with all of its checks; raises AssertionError with what it found.

    `tokens`: API_TOKEN and DEVICE_TOKEN, and ENROLL_CODES with spaces between.
    """
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={Path(__file__).with_name('schemathesis.toml')}",
        "run",
        document,
        "--checks=all",
        # A session that was deleted is told of as `terminated` for a while; shares are gone at once.
        "--exclude-checks=use_after_free",
        "--phases=examples,coverage,fuzzing,stateful",
        f"--max-examples={examples}",
        "--max-response-time=20",
        "--seed=1",
        "--continue-on-failure",
        env=os.environ
        | {"SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks", "PYTHONPATH": str(ROOT), **tokens},
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode(errors="replace")[-20_000:]
