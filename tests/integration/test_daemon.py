"""`fanlight run` as a process: ready, control socket, signals, failures that name their cause."""

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from appliance.control.client import ControlClient
from appliance.control.schema import Done, IdParams
from appliance.errors import NotFoundError
from bench.processes import family
from tests.support.box import ROOT, box, fanlight, settings

pytestmark = pytest.mark.integration

PATTERN = """
[[application]]
name = "pattern"
kind = "test-pattern"
autostart = true
"""


async def run(*arguments: str | Path) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "appliance", *map(str, arguments), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


def alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


async def test_it_gets_ready_shows_itself_and_ends_without_orphans(tmp_path: Path) -> None:
    async with box(tmp_path, settings() + PATTERN) as running:
        await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        snapshot = await running.until("s['sessions'] and s['sessions'][0]['status'] == 'active'")
        assert snapshot["box"]["name"] == (await running.cli("status"))["box"]["name"] == "test-box"
        assert all(part["ok"] for part in snapshot["parts"]), snapshot["parts"]
        assert any(each["works"] for each in snapshot["hardware"]["encoders"])
        assert len(snapshot["sessions"]) == 1
        members = family(running.pid)
        assert "appliance.streamer" in members.values()
        began = time.monotonic()
        os.kill(running.pid, signal.SIGTERM)
        assert await running.running.process.wait() == 0
        assert time.monotonic() - began < 5
    assert [name for pid, name in members.items() if alive(pid)] == []


async def test_a_killed_daemon_leaves_nothing_behind_and_resumes_its_session(tmp_path: Path) -> None:
    configuration = settings() + PATTERN
    async with box(tmp_path, configuration) as running:
        first = await running.until("s['sessions'] and s['sessions'][0]['status'] == 'active'")
        members = family(running.pid)
        os.kill(running.pid, signal.SIGKILL)
        async with asyncio.timeout(5):
            while any(alive(pid) for pid in members):
                await asyncio.sleep(0.02)
    async with box(tmp_path, configuration) as running:
        second = await running.until("s['instances'] and s['sessions'][0]['status'] == 'active'")
    assert second["instances"][0]["session"] == first["instances"][0]["session"]


async def test_hangup_reloads_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    async with box(tmp_path, settings()) as running:
        file = tmp_path / "fanlight.toml"
        good = file.read_text()
        file.write_text(good + '[[application]]\nname = "more"\nkind = "test-pattern"\n')
        os.kill(running.pid, signal.SIGHUP)
        await running.until("[a['name'] for a in s['applications']] == ['more']")
        file.write_text(good + "[video]\nfsp = 3\n")
        os.kill(running.pid, signal.SIGHUP)
        snapshot = await running.until("any('video.fsp' in p['what'] for p in s['problems'])")
        assert [each["name"] for each in snapshot["applications"]] == ["more"]
        file.write_text(good + PATTERN)
        os.kill(running.pid, signal.SIGHUP)
        await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        file.write_text(good.replace("test-box", "renamed"))
        os.kill(running.pid, signal.SIGHUP)
        await running.until("any('restart: box' in p['what'] for p in s['problems'])")


async def test_a_display_that_does_not_answer_is_replaced_by_a_screen_of_our_own(tmp_path: Path) -> None:
    env = {"DISPLAY": ":987", "WAYLAND_DISPLAY": ""}
    desktop = PATTERN.replace("test-pattern", "desktop")
    async with box(tmp_path, settings() + desktop, env=env) as running:
        snapshot = await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        (shown,) = snapshot["instances"]
        assert ":987" not in shown["stats"]["source"]
        assert shown["why"] == "nothing answers at $DISPLAY (:987): a screen of our own"
    assert shown["why"] in (tmp_path / "log").read_text()


async def test_a_gateway_alone_takes_limits_and_names_what_waits_for_a_restart(tmp_path: Path) -> None:
    async with box(tmp_path, settings(limits="requests_per_second = 9"), verb="gateway") as running:
        file = tmp_path / "fanlight.toml"
        changed = file.read_text().replace("= 9", "= 5").replace("test-box", "renamed")
        file.write_text(changed + "[video]\nfps = 30\n")
        os.kill(running.pid, signal.SIGHUP)
        snapshot = await running.until("s['problems']")
        assert [(each["what"], each["fix"]) for each in snapshot["problems"]] == [
            ("changed, but in force only after a restart: box", "systemctl restart fanlight-gateway")
        ]


async def test_what_does_not_exist_is_an_error_with_its_exit_code(tmp_path: Path) -> None:
    directories = ("--state-dir", tmp_path / "state", "--runtime-dir", tmp_path / "run")
    assert (await run("status", *directories))[0] == 3
    async with box(tmp_path, settings()):
        code, text = await run("launch", "nothing", *directories)
        assert code == 4
        assert "'nothing' is not configured" in text
        code, text = await run("kick", "nobody", *directories)
        assert code == 4
        code, text = await run("share", *directories)
        assert code in (0, 4)


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = tmp_path / "fanlight.toml"
        file.write_text(settings(gateway=f'listen = "127.0.0.1:{port}"'))
        directories = ("--state-dir", tmp_path / "state", "--runtime-dir", tmp_path / "run")
        code, text = await run("run", "--config", file, *directories)
    assert code == 1
    assert f"port {port}" in text
    assert "Traceback" not in text


async def test_a_broken_file_is_exit_code_2_with_line_and_key(tmp_path: Path) -> None:
    file = tmp_path / "fanlight.toml"
    file.write_text("[video]\nbitrate = 3\n")
    code, text = await run("run", "--config", file, "--state-dir", tmp_path, "--runtime-dir", tmp_path)
    assert code == 2
    assert f"{file}:2: video.bitrate: unknown key" in text


@pytest.mark.parametrize("verb", ["run", "gateway"])
async def test_bad_configuration_that_is_found_late_is_exit_code_2_too(tmp_path: Path, verb: str) -> None:
    file, absent = tmp_path / "fanlight.toml", tmp_path / "absent.pem"
    bus = '[bus]\nlisten = "127.0.0.1:0"\n'
    file.write_text(f'{bus}[tls]\nmode = "files"\ncert = "{absent}"\nkey = "{absent}"\n')
    directories = ("--state-dir", tmp_path / "state", "--runtime-dir", tmp_path / "run")
    code, said = await run(verb, "--config", file, *directories)
    assert code == 2
    assert f"tls: {absent}" in said
    assert "Traceback" not in said


async def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, said = await run("run", "--state-dir", tmp_path / "file" / "state", "--runtime-dir", tmp_path)
    assert code == 1
    assert "Traceback" not in said
    assert str(tmp_path / "file") in said


async def test_a_keyframe_can_be_asked_for(tmp_path: Path) -> None:
    async with box(tmp_path, settings() + PATTERN) as running:
        snapshot = await running.until("s['instances'] and s['instances'][0]['stats']")
        before = snapshot["instances"][0]["stats"]["keyframe_requests"]
        client = ControlClient(tmp_path / "run" / "control.sock")
        await client.call("keyframe", IdParams(id="pattern"), Done)
        await running.until(f"s['instances'][0]['stats']['keyframe_requests'] > {before}")
        with pytest.raises(NotFoundError, match="'nothing'"):
            await client.call("keyframe", IdParams(id="nothing"), Done)


async def test_without_a_gateway_applications_run_unwatched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    more = '[[application]]\nname = "more"\nkind = "test-pattern"\n'
    off = settings(gateway=f'mode = "off"\nlisten = "127.0.0.1:{port}"', discovery="enabled = true")
    async with box(tmp_path, off + PATTERN + more) as running:
        assert running.url == str(tmp_path / "run" / "control.sock")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        snapshot = await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        assert (snapshot["instances"][0]["application"], snapshot["instances"][0]["session"]) == (
            "pattern",
            None,
        )
        assert (snapshot["box"]["urls"], snapshot["box"]["health"], snapshot["problems"]) == ([], "idle", [])
        parts = {each["name"]: (each["ok"], each["detail"]) for each in snapshot["parts"]}
        assert parts["bus"][0]
        assert (parts["gateway"], parts["discovery"]) == ((True, "off"), (True, "off"))
        assert "agent" not in parts
        assert (await running.cli("launch", "more", "--no-streaming"))["session"] is None
        for arguments, why in (
            (("launch", "more"), 'more: [gateway] mode = "off": nobody could watch it'),
            (("share",), "this box has no door of its own (see [gateway] mode)"),
            (("pair",), "this box has no door of its own (see [gateway] mode)"),
        ):
            code, _, said = await fanlight(tmp_path, *arguments)
            assert code == 1, arguments
            assert why in said
        code, text, _ = await fanlight(tmp_path, "status")
        assert code == 0
        assert "✓ gateway      off" in text
