"""A real streamer that serves two viewers a process, and viewers written from the wire protocol."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from appliance.bus import subjects
from appliance.bus.connection import Bus
from appliance.bus.messages import Role
from appliance.bus.peer_messages import PeerEvent
from appliance.bus.server import EmbeddedServer
from appliance.bus.stats import InstanceStats
from appliance.streamer.capture.counter import read_counter
from tests.support.ports import free_ports
from tests.support.room import SESSION, Viewer, Visit, ports, specification, streamer

pytestmark = pytest.mark.integration

FPS = 15
FRAMES = 40


async def watcher(visit: Visit, **fields: Any) -> Viewer:
    viewer = await visit()
    await viewer.open(**{"role": Role.VIEW} | fields)
    await viewer.watch(codecs=("H264",))
    return viewer


async def again(bus: Bus, stack: contextlib.AsyncExitStack, viewer: Viewer) -> Viewer:
    """The same peer, that begins anew as it was told to."""
    await viewer.expect("fanlight::restart")
    anew = Viewer(bus, viewer._replies, viewer.peer)
    stack.push_async_callback(anew.pc.close)
    await anew.watch(codecs=("H264",))
    return anew


async def numbers(viewer: Viewer, count: int = FRAMES) -> list[int | None]:
    """Of the next frames."""
    return [read_counter(frame.to_ndarray(format="gray")) for frame in await viewer.frames(count)]


async def numbers_up_to(viewer: Viewer, last: int) -> list[int | None]:
    """Of the next frames, until this one came."""
    seen = await numbers(viewer, 1)
    while (seen[-1] or 0) < last:
        seen += await numbers(viewer, 1)
    return seen


async def told(stats: AsyncIterator[tuple[str, InstanceStats]], *, connected: int) -> InstanceStats:
    """The next statistics of so many connected viewers."""
    async for _, said in stats:
        if sum(each.state == "connected" for each in said.viewers) == connected:
            return said
    raise AssertionError


async def ended(pids: list[int]) -> None:
    """Once these processes, which may be nobody's children any more, have ended."""
    loop = asyncio.get_running_loop()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            handle, over = os.pidfd_open(pid), asyncio.Event()
            loop.add_reader(handle, over.set)
            await over.wait()
            loop.remove_reader(handle)
            os.close(handle)


def in_a_row(seen: list[int | None]) -> bool:
    return seen == [(seen[0] or 0) + index for index in range(len(seen))]


async def test_viewers_beyond_the_bound_see_the_same_frames_from_other_processes(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    spec = specification(
        server.address, viewers_max=9, viewers_per_process=2, udp_ports=8, udp_port=free_ports(8).start
    )
    async with (
        contextlib.AsyncExitStack() as stack,
        streamer(bus, spec) as process,
        bus.subscribe(subjects.stats("i1"), InstanceStats) as stats,
    ):
        viewers = [await watcher(visit) for _ in range(5)]
        offered = [min(ports(viewer.offer)) for viewer in viewers]
        assert offered[0] == offered[1]
        assert offered[2] == offered[3]
        assert len(set(offered)) == 3

        latest = await numbers(viewers[-1])
        last = latest[-1] or 0
        seen = [latest, *await asyncio.gather(*(numbers_up_to(viewer, last) for viewer in viewers[:-1]))]
        assert all(map(in_a_row, seen)), seen
        assert {each[-1] for each in seen} == {last}
        before = after = await told(stats, connected=5)
        assert len(before.shards) == 2
        seconds = 0.0
        while seconds < 1 or not all(each.frames_sent for each in after.viewers):
            after = await told(stats, connected=5)
            seconds = after.viewers[0].age_s - before.viewers[0].age_s
        assert FPS / 5 < (after.frames_encoded - before.frames_encoded) / seconds < 2 * FPS
        assert {each.role for each in after.viewers} == {Role.VIEW}

        async with asyncio.TaskGroup() as group:
            others = [group.create_task(numbers(viewers[each])) for each in (0, 1, 4)]
            os.kill(before.shards[0], signal.SIGKILL)
            moved = [await again(bus, stack, viewer) for viewer in viewers[2:4]]
        seen = [task.result() for task in others] + [await numbers(viewer) for viewer in moved]
        assert all(map(in_a_row, seen)), seen
        assert [min(ports(viewer.offer)) for viewer in moved] == [offered[4]] * 2
        while (await told(stats, connected=5)).shards != before.shards[1:]:
            continue
        process.terminate()
        assert await process.wait() == 0
        await ended(before.shards)


async def test_a_watcher_that_gets_the_controls_goes_where_the_input_goes(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    spec = specification(server.address, viewers_per_process=1, udp_ports=8, udp_port=free_ports(8).start)
    async with contextlib.AsyncExitStack() as stack, streamer(bus, spec):
        here, there = await watcher(visit), await watcher(visit)
        assert ports(here.offer) != ports(there.offer)
        await there.open(role=Role.CONTROL)
        anew = await again(bus, stack, there)
        assert ports(anew.offer) == ports(here.offer)
        await anew.publish("kick", "enough")
        assert (await anew.expect("fanlight::end"))["reason"] == "enough"


async def test_a_shard_tells_its_viewers_what_the_others_hear_too(
    server: EmbeddedServer, bus: Bus, visit: Visit
) -> None:
    spec = specification(server.address, viewers_per_process=1, udp_ports=8, udp_port=free_ports(8).start)
    async with (
        streamer(bus, spec),
        bus.subscribe(subjects.stats("i1"), InstanceStats) as stats,
    ):
        first = await watcher(visit)
        viewer = await watcher(visit, label="tablet")
        assert (await viewer.told("fanlight::stats"))["codec"] == "H264"
        viewer.say("fanlight::timing", {"on": True})
        for _, captured, capture, encode, send in (await viewer.told("fanlight::frames"))["frames"]:
            assert captured > 0
            assert min(capture, encode, send) >= 0
        said = await told(stats, connected=2)
        assert [each.label for each in said.viewers] == ["", "tablet"]
        await bus.publish(subjects.up(SESSION), PeerEvent(kind="notice", text="soon"))
        assert [await each.told("fanlight::notice") for each in (first, viewer)] == [{"text": "soon"}] * 2
        await viewer.publish("kick", "enough")
        assert (await viewer.expect("fanlight::end"))["reason"] == "enough"
        await viewer.expect_close()
        while not (said := await told(stats, connected=1)).visits:  # it is gone before it is counted
            continue
        assert said.visits == 1
