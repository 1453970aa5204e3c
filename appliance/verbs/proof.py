"""One leg that was proved, or was not."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """What `fanlight doctor` found about one leg; `ok` is None where it does not apply."""

    name: str
    ok: bool | None
    detail: str
    fix: str = ""
    """The command or step that mends it."""


async def within(seconds: float, name: str, proof: Callable[[], Awaitable[Check]]) -> Check:
    """What `proof` gives; one that hangs or breaks is a failed check, and takes no other down."""
    try:
        async with asyncio.timeout(seconds):
            return await proof()
    except TimeoutError:
        return Check(name, ok=False, detail=f"no result within {seconds:.0f} s")
    except Exception as exc:  # noqa: BLE001  (a doctor must not die of what it finds)
        return Check(name, ok=False, detail=f"{type(exc).__name__}: {exc}")
