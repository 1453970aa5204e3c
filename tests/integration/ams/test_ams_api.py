"""The AMS dialect, call by call, with real streamers behind it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hw.gpus import Gpu
from tests.support.ams import NoHardware, Office, office, with_applications
from tests.support.gateway import deaf, until

pytestmark = pytest.mark.integration

PATTERN = {"name": "pattern", "kind": "test-pattern", "size": "64x64"}
PROGRAM = {"name": "program", "kind": "command", "command": ["sh", "-c", "exit 3"], "size": "64x64"}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Office]:
    async with office(tmp_path, with_applications(PATTERN, PROGRAM, limits={"instances": 2})) as found:
        yield found


async def test_a_stream_enabled_instance_has_its_session_before_anybody_joins(here: Office) -> None:
    display = {"width": 129, "height": 96, "fps": 15, "density": 120}
    address = await here.launch(
        "pattern", name="one", tags=["lab"], app_version=-1,
        config={"enable_streaming": True, "platform": "webrtc", "display": display},
    )  # fmt: skip
    shown = await here.get(address)
    (session,) = (tag.removeprefix("session=") for tag in shown["tags"] if tag.startswith("session="))
    status, found = await here.street.api("GET", f"/1.0/sessions/{session}", here.token)
    assert (status, found["metadata"]["app"]) == (200, "pattern")
    status, _ = await here.street.api("POST", f"/1.0/sessions/{session}/join", here.token, json={})
    assert status == 200
    running = await here.until("/1.0/instances/one", "running")
    assert (running["status_code"], running["node"], running["tags"][0]) == (4, "attic", "lab")
    assert running["config"]["display"] == display | {"width": 130}


async def test_an_instance_goes_from_created_to_deleted(here: Office) -> None:
    address = await here.launch("pattern", no_start=True)
    assert (await here.get(address))["status_code"] == 1
    assert not here.manager.instances
    await here.do("PATCH", address, {"desired_status": "running"})
    await here.until(address, "running")
    await here.do("PATCH", address, {"desired_status": "stopped"})
    stopped = await here.get(address)
    assert (stopped["status"], stopped["status_code"], stopped["error_message"]) == ("stopped", 5, "")
    assert not here.manager.instances
    await here.do("PATCH", address, {"desired_status": "running"})
    await here.do("DELETE", address)
    assert (await here.api("GET", address))[0] == 404
    assert not here.manager.instances


async def test_what_is_deleted_while_it_starts_does_not_run_on(
    here: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch, starting, go_on = here.manager.launch, asyncio.Event(), asyncio.Event()

    async def held_up(*args: Any, **options: Any) -> Any:
        starting.set()
        await go_on.wait()
        return await launch(*args, **options)

    monkeypatch.setattr(here.manager, "launch", held_up)
    await here.api("POST", "/1.0/instances", json={"app_id": "pattern", "name": "one"})
    await starting.wait()
    _, deleting = await here.api("DELETE", "/1.0/instances/one", json={})
    go_on.set()
    assert (await here.get(f"{deleting['operation']}/wait?timeout=20"))["status"] == "Success"
    assert not here.manager.instances
    assert await here.get("/1.0/instances") == []


async def test_without_streaming_there_is_no_session_and_nobody_is_missed(here: Office) -> None:
    address = await here.launch("pattern", idle_time_min=1)
    assert (await here.get(address))["tags"] == []
    assert (await here.street.api("GET", "/1.0/sessions", here.token))[1]["metadata"] == []
    (instance,) = here.manager.instances.values()
    assert instance.idle.patience_s is None


async def test_an_instance_that_may_be_idle_for_a_while_ends_after_it(here: Office) -> None:
    await here.launch("pattern", idle_time_min=2, config={"enable_streaming": True})
    (instance,) = here.manager.instances.values()
    assert instance.idle.patience_s == 120


async def test_an_ephemeral_instance_is_deleted_when_its_application_ends(here: Office) -> None:
    address = await here.launch("program", ephemeral=True)
    async with asyncio.timeout(20):
        while (await here.api("GET", address))[0] == 200:
            await asyncio.sleep(0.05)


async def test_no_capacity_is_the_fault_of_the_operation(here: Office) -> None:
    for _ in range(2):
        await here.launch("pattern")
    ended = await here.do("POST", "/1.0/instances", {"app_id": "pattern", "name": "third"})
    assert (ended["status"], ended["status_code"]) == ("Failure", 400)
    assert ended["err"] == "No suitable node to satisfy instance requirement available"
    third = await here.get("/1.0/instances/third")
    assert third["status_code"] == -1
    assert third["error_message"].startswith(f"{ended['err']}: all 2")


async def test_what_is_remembered_has_a_limit(here: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.ams.roster._REMEMBERED_MAX", 1)
    await here.launch("pattern", no_start=True)
    status, body = await here.api("POST", "/1.0/instances", json={"app_id": "pattern"})
    assert (status, body["error"]) == (429, "there are 1 instances: delete some")


async def test_what_others_started_is_there_while_it_runs(here: Office) -> None:
    instance = await here.manager.launch("pattern")
    assert await here.get("/1.0/instances") == [f"/1.0/instances/{instance.id}"]
    (shown,) = await here.get("/1.0/instances?recursion=1")
    assert shown["config"]["enable_streaming"]
    await here.do("DELETE", f"/1.0/instances/{instance.id}", {"force": True})
    await instance.ended.wait()
    assert await here.get("/1.0/instances") == []


async def test_bad_calls_are_errors_that_name_the_fault(here: Office) -> None:
    async def refused(method: str, path: str, **options: object) -> tuple[int, str]:
        status, body = await here.api(method, path, **options)
        assert body["error_code"] == status
        return status, body["error"]

    assert (await refused("POST", "/1.0/instances", json={"app_id": "nope"}))[0] == 404
    assert await refused("POST", "/1.0/instances", json={}) == (400, "app_id: Field required")
    assert (await refused("GET", "/1.0/instances/nope"))[0] == 404
    assert (await refused("PATCH", "/1.0/instances/nope", json={"desired_status": "running"}))[0] == 404
    assert (await refused("GET", "/1.0/operations/nope"))[0] == 404
    assert (await refused("GET", "/1.0/applications/nope"))[0] == 404
    assert (await refused("GET", "/1.0/operations/nope/wait?timeout=-2"))[0] == 400
    await here.launch("pattern", name="one", no_start=True)
    assert (await refused("POST", "/1.0/instances", json={"app_id": "pattern", "name": "one"}))[0] == 409


async def test_what_comes_to_nothing_is_said_and_what_cannot_be_is_refused(here: Office) -> None:
    wish = {"resources": {"disk-size": 1 << 30, "vpu-slots": 0}, "config": {"addons": ["x"]}, "node": "lxd0"}
    status, begun = await here.api(
        "POST", "/1.0/instances", json={"app_id": "pattern", "name": "one", "no_start": True, **wish}
    )
    assert status == 202
    assert begun["metadata"]["warnings"] == [
        "node is ignored: it is not known here",
        "config.addons is ignored: it is not known here",
        "resources.disk-size is ignored: instances have no disk of their own",
    ]
    assert (await here.do("DELETE", "/1.0/instances/one", {"force": True}))["warnings"] == []
    status, body = await here.api(
        "POST", "/1.0/instances", json={"app_id": "pattern", "resources": {"vpu-slots": 1}}
    )
    assert (status, body["error_code"]) == (400, 400)
    assert body["error"].startswith("resources.vpu-slots: ")
    assert body["error"].endswith("this box has no VPUs")


async def test_what_go_clients_leave_empty_is_not_said(here: Office) -> None:
    empty = {"name": "", "user_data": None, "tags": None, "app_version": 0}
    config = {"platform": "", "display": None}
    resources = {"cpus": 0, "memory": 0, "gpu-type": "", "video-encoder": "", "vpu-slots": 0}
    address = await here.launch("pattern", no_start=True, config=config, resources=resources, **empty)
    shown = await here.get(address)
    assert shown["name"].startswith("ams-")
    assert (shown["config"]["platform"], shown["config"]["display"]) == ("webrtc", None)
    assert (shown["resources"]["cpus"], shown["resources"]["memory"]) == (0, 0)


@pytest.mark.parametrize(("memory", "size"), [("4GB", 4 * 10**9), ("512MB", 512 * 10**6), (1 << 30, 1 << 30)])
async def test_memory_may_have_a_unit(here: Office, memory: str | int, size: int) -> None:
    address = await here.launch("pattern", no_start=True, resources={"memory": memory})
    assert (await here.get(address))["resources"]["memory"] == size


@pytest.mark.parametrize("memory", ["4", "4gb", "4GB\n", "1MB", 5, True])
async def test_memory_that_is_none_is_refused(here: Office, memory: object) -> None:
    wish = {"app_id": "pattern", "resources": {"memory": memory}}
    status, body = await here.api("POST", "/1.0/instances", json=wish)
    assert status == 400
    assert body["error"].startswith("resources.memory: ")


async def test_commands_are_not_run_in_instances(here: Office) -> None:
    await here.launch("pattern", name="one", no_start=True)
    status, body = await here.api("POST", "/1.0/instances/one/exec", json={"command": ["id"]})
    assert (status, body["type"], body["error_code"]) == (501, "error", 501)
    assert (await here.api("POST", "/1.0/instances/none/exec", json={"command": ["id"]}))[0] == 404
    status, body = await here.api("POST", "/1.0/instances/one/shares", json={})
    assert (status, "/1.0/sessions/<id>/share" in body["error"]) == (501, True)


async def test_only_who_has_a_token_is_answered(here: Office) -> None:
    async with here.http.get(f"{here.base}/1.0") as answer:
        assert (await answer.json())["metadata"]["auth"] == "untrusted"
    assert (await here.get("/1.0"))["auth"] == "trusted"
    for headers in ({}, {"Authorization": "macaroon root=none"}):
        async with here.http.get(f"{here.base}/1.0/instances", headers=headers) as answer:
            assert answer.status == 401
            assert (await answer.json())["error_code"] == 401
    strange = here.known | {"Origin": "https://elsewhere.example"}
    async with here.http.get(f"{here.base}/1.0/instances", headers=strange) as answer:
        assert answer.status == 403


async def test_applications_and_operations_are_listed(here: Office) -> None:
    assert await here.get("/1.0/applications") == ["/1.0/applications/pattern", "/1.0/applications/program"]
    whole = await here.get("/1.0/applications?recursion=1")
    assert whole[0] == await here.get("/1.0/applications/pattern")
    await here.launch("pattern", no_start=True)
    (address,) = (await here.get("/1.0/operations"))["success"]
    assert (await here.get(address))["description"] == "Creating instance"
    assert (await here.get("/1.0/operations?recursion=1"))["success"] == [await here.get(address)]


async def test_an_operation_is_followed_to_its_end(here: Office) -> None:
    _, begun = await here.api("POST", "/1.0/instances", json={"app_id": "pattern"})
    for before in ("Running", "Success"):
        where = f"{here.base}{begun['operation']}/websocket?api_token={here.token}"
        async with here.http.ws_connect(where) as socket:
            told = [json.loads(message.data) async for message in socket]
        assert told[0]["status"] in (before, "Success")
        assert told[-1] == await here.get(begun["operation"])
    assert len(told) == 1
    assert (await here.api("GET", "/1.0/operations/nope/websocket"))[0] == 404
    assert (await here.api("GET", f"{begun['operation']}/websocket"))[0] == 426


async def test_paths_may_end_in_a_slash(here: Office) -> None:
    address = await here.launch("pattern", no_start=True)
    for path in ("/1.0", "/1.0/instances", address, "/1.0/nodes", "/1.0/applications/pattern"):
        assert await here.get(f"{path}/") == await here.get(path)
    await here.do("DELETE", f"{address}/")


async def test_events_tell_of_operations_and_of_every_state(here: Office) -> None:
    seen: list[tuple[str, str]] = []
    async with here.http.ws_connect(f"{here.base}/1.0/events?api_token={here.token}") as events:
        address = await here.launch("pattern")
        async for message in events:
            event = json.loads(message.data)
            metadata = event["metadata"]
            seen.append((event["type"], metadata.get("action") or metadata["status"]))
            if seen[-1] == ("lifecycle", "instance-running"):
                await here.do("DELETE", address)
            elif seen[-1] == ("lifecycle", "instance-deleted"):
                assert metadata["source"] == address
                break
    assert seen[:3] == [
        ("lifecycle", "instance-created"), ("operation", "Running"), ("lifecycle", "instance-running"),
    ]  # fmt: skip
    assert ("operation", "Success") in seen


async def test_who_does_not_read_its_events_is_cut_off(here: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.gateway.client_socket._PATIENCE_SECONDS", 0.2)
    events = here.ams._context.events
    async with deaf(f"{here.base}/1.0/events?api_token={here.token}"):
        await until(lambda: events._listeners)
        for _ in range(100):
            events.tell("lifecycle", "x" * 500_000)
        await until(lambda: not events._listeners)


async def test_events_end_with_the_account(here: Office) -> None:
    url = f"{here.base}/1.0/events?api_token={{}}"
    other = await here.street.token("other")
    async with (
        here.http.ws_connect(url.format(other)) as stays,
        here.http.ws_connect(url.format(here.token)) as events,
    ):
        await here.street.gateway.delete_account("client")
        ended = await events.receive(timeout=5)
        assert (ended.data, ended.extra) == (1008, "the account was deleted")
        with pytest.raises(TimeoutError):
            await stays.receive(timeout=0.2)


async def test_events_end_with_the_server(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as listening:
        async with office(tmp_path, with_applications(PATTERN)) as here:
            url = f"{here.base}/1.0/events?type=operation"
            events = await listening.ws_connect(url, headers=here.known)
        assert (await events.receive()).type is aiohttp.WSMsgType.CLOSE


class TwoGpus(NoHardware):
    """Two that encode, and one that does not."""

    def gpus(self) -> list[Gpu]:
        vendors = ("NVIDIA", "AMD", "NVIDIA")
        return [
            Gpu(
                f"card {n}",
                vendor=each,
                pci=f"0000:0{n}:00.0",
                render_node=f"/dev/dri/renderD{n}",
                numa_node=n,
            )
            for n, each in enumerate(vendors)
        ]

    def encoding_gpus(self) -> list[str]:
        return ["/dev/dri/renderD0", "/dev/dri/renderD1"]


async def test_the_node_tells_what_instances_have_of_its_gpus(tmp_path: Path) -> None:
    config = with_applications(
        PATTERN, instances={"scheduling": "binpack", "gpu_slots": 3, "encoder_slots": 2}
    )
    async with office(tmp_path, config, TwoGpus()) as here:
        first = await here.launch("pattern", resources={"gpu-slots": 2})
        second = await here.launch("pattern", resources={"gpu-slots": 2})
        third = await here.launch("pattern", resources={"gpu-type": "amd", "video-encoder": "gpu"})
        await here.launch("pattern", resources={"gpu-slots": 0})
        (address,) = await here.get("/1.0/nodes")
        node = await here.get(address)
        assert [node] == await here.get("/1.0/nodes?recursion=1")
        ids = [each.rpartition("/")[2] for each in (first, second, third)]
        assert [[*each["allocations"]] for each in node["gpus"]] == [[ids[0]], [ids[1], ids[2]], []]
        assert [each["encoder_slots"] for each in node["gpus"]] == [2, 2, 0]
        assert [each["numa_node"] for each in node["gpus"]] == [0, 1, 2]
        assert node["gpus"][0]["allocations"][ids[0]] == {"gpus": 1, "slots": 2, "encoder_slots": 1}
        full = await here.do(
            "POST", "/1.0/instances",
            {"app_id": "pattern", "resources": {"gpu-type": "amd", "video-encoder": "gpu"}},
        )  # fmt: skip
        refused = await here.get(full["resources"]["instances"][0])
        assert "no encoder of a GPU is free" in refused["error_message"]
        assert (await here.api("GET", "/1.0/nodes/nope"))[0] == 404
