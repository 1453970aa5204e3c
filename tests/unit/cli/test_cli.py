"""The command line against a daemon's real control socket: exit codes, stdout, stderr."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import cli
from appliance.control.schema import (
    Account,
    AccountParams,
    Accounts,
    AccountToken,
    Application,
    Audit,
    AuditParams,
    AuditRecord,
    Box,
    Code,
    CodeParams,
    Devices,
    DrainParams,
    EnrolledBox,
    EnrolledBoxes,
    Instance,
    InstanceLogs,
    InstanceState,
    InstanceStats,
    Key,
    KeyParams,
    Keys,
    KeySecret,
    Launched,
    LaunchParams,
    Logs,
    Pin,
    Problem,
    PublishParams,
    Recording,
    Recordings,
    Share,
    ShareParams,
    Snapshot,
    ViewerStats,
)
from appliance.control.server import ControlServer
from appliance.errors import NotFoundError, RefusedError

pytestmark = pytest.mark.unit


class House:
    """A daemon's controller with one desktop and one viewer."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.asked: list[Any] = []
        self.viewers = [ViewerStats(id="v1", label="Pixel phone")]
        self.published = ""

    def snapshot(self) -> Snapshot:
        stats = InstanceStats(
            instance="i1",
            encoder="x264",
            encoder_reason="no GPU",
            software_fallback=True,
            published=self.published,
            viewers=self.viewers,
        )
        return Snapshot(
            box=Box(
                id="b",
                name="edge-7",
                version="0.1.0",
                health="degraded",
                uptime_s=3700,
                urls=["https://x:8443/"],
            ),
            problems=[Problem(severity="error", what="it burns", fix="pour water")],
            applications=[Application(name="desktop", kind="desktop")],
            instances=[Instance(id="i1", application="desktop", state=InstanceState.RUNNING, stats=stats)],
        )

    def logs(self, after: int) -> Logs:
        return Logs(records=[])

    async def launch(self, params: LaunchParams) -> Launched:
        self.asked.append(params)
        return Launched(instance="i2", session="s2")

    async def instance_logs(self, instance: str) -> InstanceLogs:
        if instance != "i1":
            raise NotFoundError(f"no instance {instance}")
        return InstanceLogs(instance=instance, lines=["1 instance: running", "2 application: hello"])

    async def stop(self, instance: str) -> None:
        if instance != "i1":
            raise NotFoundError(f"no instance {instance}")

    async def kick(self, viewer: str) -> None:
        raise RefusedError("not this one")

    async def keyframe(self, instance: str) -> None:
        return

    async def share(self, params: ShareParams) -> Share:
        self.asked.append(params)
        return Share(id="sh", url="https://x:8443/#share=t", role=params.role, expires_at=2_000_000_000)

    async def publish(self, params: PublishParams) -> None:
        self.asked.append(params)

    async def pair(self) -> Pin:
        return Pin(pin="123456", expires_at=2_000_000_000, url="https://x:8443/")

    async def devices(self) -> Devices:
        return Devices(devices=[])

    async def unpair(self, device: str) -> None:
        return

    async def account_create(self, params: AccountParams) -> AccountToken:
        self.asked.append(params)
        return AccountToken(name=params.name, token="tok-1")

    async def account_list(self) -> Accounts:
        return Accounts(accounts=[Account(name="ci", created_at=0)])

    async def account_delete(self, name: str) -> None:
        self.asked.append(name)

    async def enroll_create(self, params: CodeParams) -> Code:
        self.asked.append(params)
        return Code(code="secret.pin", url="https://gateway:8443/", expires_at=2_000_000_000)

    async def enroll_list(self) -> EnrolledBoxes:
        key = "U" + "A" * 55
        return EnrolledBoxes(boxes=[EnrolledBox(id="b2", name="attic", key=key, enrolled_at=0, answers=True)])

    async def enroll_delete(self, name: str) -> None:
        self.asked.append(name)

    async def key_create(self, params: KeyParams) -> KeySecret:
        self.asked.append(params)
        return KeySecret(name=params.name, access_key_id="FANL1", secret_access_key="s3cret")

    async def key_list(self) -> Keys:
        policy = {"Statement": [{"Effect": "Allow", "Action": ["kinesisvideo:*"], "Resource": ["lobby-*"]}]}
        return Keys(keys=[Key(name="cam", access_key_id="FANL1", created_at=0, policy=policy)])

    async def key_delete(self, name: str) -> None:
        self.asked.append(name)

    async def recordings(self) -> Recordings:
        tape = Recording(
            name="desktop", kind="applications", file="/kept/a.mkv", began=0, length_s=90, size=1_500_000,
            running=False,
        )  # fmt: skip
        return Recordings(directory="/kept", recordings=[tape])

    async def drain(self, params: DrainParams) -> None:
        self.asked.append(params)
        if params.timeout_s:
            self.viewers = []
            self.changed.set()

    async def audit(self, params: AuditParams) -> Audit:
        record = AuditRecord(
            time="2026-01-02T03:04:05.678+00:00", event="join", by="Pixel", address="192.0.2.7"
        )
        return Audit(records=[record] * min(params.last, 2))


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A runtime dir where nobody listens."""
    return tmp_path / "run"


@pytest.fixture
def house(runtime: Path) -> Iterator[House]:
    """A daemon in a thread of its own, as the CLI runs loops of its own."""
    ready, box = threading.Event(), {}

    async def serve() -> None:
        box["house"], box["loop"], box["stop"] = House(), asyncio.get_running_loop(), asyncio.Event()
        started = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(ControlServer(box["house"], runtime / "control.sock").serve(started))
            await started.wait()
            ready.set()
            await box["stop"].wait()
            task.cancel()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield box["house"]
    box["loop"].call_soon_threadsafe(box["stop"].set)
    thread.join(10)


Fanlight = Callable[..., tuple[int, str, str]]


@pytest.fixture
def fanlight(runtime: Path, capsys: pytest.CaptureFixture[str]) -> Fanlight:
    """`fanlight(*args)` -> exit code, stdout, stderr."""

    def run(*args: str) -> tuple[int, str, str]:
        try:
            code = cli.main([*args, "--runtime-dir", str(runtime)])
        except SystemExit as exc:
            code = int(exc.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_no_daemon_is_3(fanlight: Fanlight) -> None:
    code, out, err = fanlight("status")
    assert (code, out) == (3, "")
    assert "control.sock" in err


def test_not_found_is_4(fanlight: Fanlight, house: House) -> None:
    code, out, err = fanlight("stop", "i9")
    assert (code, out, err) == (4, "", "fanlight: no instance i9\n")


def test_refused_is_5(fanlight: Fanlight, house: House) -> None:
    assert fanlight("kick", "v1") == (5, "", "fanlight: not this one\n")


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("fly",),
        ("launch",),
        ("launch", "a", "--size", "big"),
        ("launch", "a", "--size", "9999x9999"),
        ("launch", "a", "--fps", "0"),
        ("share", "--role", "admin"),
        ("share", "--expires", "soon"),
        ("share", "--expires", "90d"),
        ("account", "create", "no/slash"),
        ("discover", "--timeout", "-1"),
    ],
)
def test_wrong_usage_is_2(fanlight: Fanlight, house: House, args: tuple[str, ...]) -> None:
    code, out, err = fanlight(*args)
    assert (code, out) == (2, "")
    assert err
    assert house.asked == []


def test_share_prints_the_link_alone(fanlight: Fanlight, house: House) -> None:
    code, out, _ = fanlight("share", "i1", "--role", "control", "--expires", "1h30m")
    assert (code, out) == (0, "https://x:8443/#share=t\n")
    assert house.asked == [ShareParams(instance="i1", role="control", expires_s=5400)]  # type: ignore[arg-type]


def test_account_create_prints_the_token_alone(fanlight: Fanlight, house: House) -> None:
    assert fanlight("account", "create", "ci")[:2] == (0, "tok-1\n")


def test_key_create_prints_what_sdks_read_from_the_environment(fanlight: Fanlight, house: House) -> None:
    assert fanlight("key", "create", "cam")[:2] == (
        0,
        "AWS_ACCESS_KEY_ID=FANL1\nAWS_SECRET_ACCESS_KEY=s3cret\n",
    )
    made = json.loads(fanlight("key", "create", "cam", "--json")[1])
    assert (made["access_key_id"], made["secret_access_key"]) == ("FANL1", "s3cret")


def test_key_create_takes_a_policy(fanlight: Fanlight, house: House, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    for bad in ("", "[]", "{"):
        file.write_text(bad)
        assert fanlight("key", "create", "cam", "--policy", str(file))[0] == 2
    file.write_text('{"Statement": []}')
    assert fanlight("key", "create", "cam", "--policy", str(file))[0] == 0
    assert house.asked == [KeyParams(name="cam", policy={"Statement": []})]


def test_key_list_and_delete(fanlight: Fanlight, house: House) -> None:
    assert "kinesisvideo:* on lobby-*" in fanlight("key", "list")[1]
    assert json.loads(fanlight("key", "list", "--json")[1])[0]["access_key_id"] == "FANL1"
    assert fanlight("key", "delete", "cam")[0] == 0
    assert house.asked == ["cam"]


def test_account_list_and_delete(fanlight: Fanlight, house: House) -> None:
    assert json.loads(fanlight("account", "list", "--json")[1])[0]["name"] == "ci"
    assert fanlight("account", "delete", "ci")[0] == 0
    assert house.asked == ["ci"]


def test_enroll_create_prints_what_to_run_on_the_box(fanlight: Fanlight, house: House) -> None:
    code, out, _ = fanlight("enroll", "create", "attic")
    assert (code, out) == (0, "fanlight enroll https://gateway:8443/ secret.pin\n")
    assert house.asked == [CodeParams(name="attic")]


def test_enroll_list_and_delete(fanlight: Fanlight, house: House) -> None:
    assert json.loads(fanlight("enroll", "list", "--json")[1])[0]["name"] == "attic"
    assert 'nkey: "UAAA' in fanlight("enroll", "list", "--nats")[1]
    assert fanlight("enroll", "delete", "attic")[0] == 0
    assert house.asked == ["attic"]


def test_enroll_with_a_url_registers_this_box(fanlight: Fanlight, tmp_path: Path) -> None:
    code, _, err = fanlight("enroll", "https://gateway:8443/", "half-a-code", "--state-dir", str(tmp_path))
    assert code == 2
    assert "not a whole one" in err


def test_launch_prints_the_instance(fanlight: Fanlight, house: House) -> None:
    code, out, _ = fanlight("launch", "desktop", "--size", "640x480", "--fps", "30", "--no-streaming")
    assert (code, out) == (0, "i2\n")
    assert house.asked == [
        LaunchParams(application="desktop", width=640, height=480, fps=30, streaming=False)
    ]


@pytest.mark.parametrize("args", [("--json", "status"), ("status", "--json")])
def test_json_before_and_after_the_verb(fanlight: Fanlight, house: House, args: tuple[str, ...]) -> None:
    code, out, err = fanlight(*args)
    assert (code, err) == (0, "")
    assert json.loads(out)["box"]["name"] == "edge-7"


def test_status_tells_problems_encoder_and_viewers(fanlight: Fanlight, house: House) -> None:
    out = fanlight("status")[1]
    for told in (
        "▲ DEGRADED",
        "up 1 h 1 min",
        "it burns",
        "fix: pour water",
        "x264 (software): no GPU",
        "Pixel phone",
    ):
        assert told in out


@pytest.mark.parametrize("verb", ["apps", "instances", "sessions", "viewers", "devices"])
def test_lists_are_arrays_in_json(fanlight: Fanlight, house: House, verb: str) -> None:
    assert isinstance(json.loads(fanlight(verb, "--json")[1]), list)


def test_logs_of_an_instance(fanlight: Fanlight, house: House) -> None:
    assert fanlight("instances", "logs", "i1")[:2] == (0, "1 instance: running\n2 application: hello\n")
    assert json.loads(fanlight("instances", "logs", "i1", "--json")[1])["instance"] == "i1"
    assert fanlight("instances", "logs", "i9")[0] == 4
    assert fanlight("instances", "logs")[0] == 2


def test_pair_tells_pin_and_page(fanlight: Fanlight, house: House) -> None:
    out = fanlight("pair")[1]
    assert "123456" in out
    assert "https://x:8443/" in out


def test_check_config_names_the_fault(fanlight: Fanlight, tmp_path: Path) -> None:
    file = tmp_path / "fanlight.toml"
    file.write_text("[video]\nfsp = 30\n")
    code, out, _ = fanlight("check-config", "--config", str(file))
    assert code == 2
    assert f"{file}:2: video.fsp: unknown key" in out
    file.write_text("[video]\nfps = 30\n")
    assert fanlight("--config", str(file), "check-config")[0] == 0


def test_every_verb_has_its_function() -> None:
    places = set()

    def collect(parser: Any) -> None:
        if where := parser.get_default("verb_at"):
            places.add(where)
        for action in parser._actions:
            for child in (action.choices or {}).values() if isinstance(action.choices, dict) else ():
                collect(child)

    collect(cli.parser())
    assert len(places) == 36
    for where in places:
        assert callable(cli.verb(where))


def test_help_starts_fast_and_loads_nothing_heavy() -> None:
    heavy = "textual aiohttp aiortc av pydantic nats zeroconf segno"
    code = (
        "import sys; import appliance.cli; appliance.cli.parser();"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.strip() == "[]"


def test_drain_waits_until_nobody_is_left(fanlight: Fanlight, house: House) -> None:
    code, out, _ = fanlight("drain", "--timeout", "5m")
    assert (code, out) == (0, "nobody is left; `fanlight drain --off` opens the box again\n")
    assert house.asked == [DrainParams(on=True, timeout_s=300)]
    assert fanlight("drain", "--off", "--json")[:2] == (0, '{\n  "draining": false\n}\n')
    assert house.asked[1:] == [DrainParams(on=False)]


def test_audit_prints_a_line_a_record(fanlight: Fanlight, house: House) -> None:
    code, out, _ = fanlight("audit")
    assert code == 0
    assert out.splitlines()[0].split() == ["TIME", "EVENT", "BY", "APPLICATION", "SESSION", "MORE"]
    assert out.splitlines()[2].split()[2:] == ["join", "Pixel", "192.0.2.7"]
    (only,) = json.loads(fanlight("audit", "--last", "1", "--json")[1])
    assert only["event"] == "join"


def test_publish_begins_and_ends_what_is_named(fanlight: Fanlight, house: House, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("let-me-in\n")
    url = "https://sfu.example/whip"
    assert fanlight("publish", "desktop", "--whip", url, "--token-file", str(secret)) == (
        0,
        "desktop is published\n",
        "",
    )
    assert fanlight("publish", "desktop", "--stop") == (0, "desktop is published no more\n", "")
    assert house.asked == [
        PublishParams(instance="desktop", url=url, token="let-me-in"),
        PublishParams(instance="desktop"),
    ]


@pytest.mark.parametrize(
    "args",
    [
        ("desktop",),
        ("desktop", "--whip", "ftp://sfu.example"),
        ("desktop", "--whip", "https://sfu.example", "--stop"),
        ("desktop", "--whip", "https://sfu.example", "--token-file", "/nowhere"),
        ("--stop",),
    ],
)
def test_publish_says_what_it_needs(fanlight: Fanlight, house: House, args: tuple[str, ...]) -> None:
    code, out, err = fanlight("publish", *args)
    assert (code, out, house.asked) == (2, "", [])
    assert err.startswith("fanlight: ")


def test_publish_alone_lists_what_is_published(fanlight: Fanlight, house: House) -> None:
    assert fanlight("publish")[:2] == (0, "nothing is published\n")
    house.published = "sfu.example: connected"
    assert "desktop" in fanlight("publish")[1]
    assert json.loads(fanlight("publish", "--json")[1]) == [
        {"instance": "i1", "application": "desktop", "published": "sfu.example: connected"}
    ]


def test_recordings_are_listed_with_their_length_and_size(fanlight: Fanlight, house: House) -> None:
    code, out, _ = fanlight("recordings")
    assert code == 0
    assert out.splitlines()[1].endswith("1 min 30 s  1.5 MB  /kept/a.mkv")
    assert json.loads(fanlight("recordings", "--json")[1])["recordings"][0]["size"] == 1_500_000
