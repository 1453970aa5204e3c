"""A scripted daemon: a house with a desktop that three people watch."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from appliance.control.credentials import Device, Devices, Pin, Role, Share, Shares, ShareShown
from appliance.control.schema import Done, Launched, LogRecord, Logs, LogsParams, Model
from appliance.control.snapshot import (
    Application,
    Box,
    Display,
    Encoder,
    Gpu,
    Hardware,
    Instance,
    InstanceState,
    InstanceStats,
    Part,
    Problem,
    Session,
    SessionStatus,
    Snapshot,
    ViewerStats,
)
from appliance.errors import FanlightError
from tui.app import FanlightApp

NOW = 1_800_000_000
LINK = "https://192.168.1.20:8443/#share=3q2-7wAAAAAq8Zk1vYdJr0PpXyTfWcGhLmNoBsUe4Ri"


def stats(second: int = 60) -> InstanceStats:
    """The desktop at a second of its life: a wave of load passes through it."""
    wave = math.sin(second / 6)
    return InstanceStats(
        instance="i-desk7f3a",
        session="s-5d01",
        source="X11 :0 1920x1080",
        encoder="x264",
        encoder_reason="no GPU: encoding in software",
        software_fallback=True,
        codec="H264",
        width=1920,
        height=1080,
        fps=57 + 3 * wave,
        target_fps=60,
        bitrate_kbps=5200 + 2400 * wave,
        target_kbps=8000,
        capture_to_encoded_p50_ms=6.1 - 1.5 * wave,
        capture_to_encoded_p95_ms=9.4,
        frames_encoded=12345 + 60 * second,
        frames_dropped=3,
        keyframes=4,
        keyframe_requests=7,
        audio="opus 48 kHz from auto_null.monitor",
        input="XTEST on :0",
        viewers=[
            ViewerStats(
                id="v-1a",
                label="Pixel phone",
                role=Role.CONTROL,
                address="192.168.1.31",
                codec="H264",
                pair="host",
                age_s=754,
                latency_ms=21.4,
                rtt_ms=3.2,
                loss_percent=0.0,
                jitter_ms=0.4,
                bitrate_kbps=7800,
            ),
            ViewerStats(
                id="v-2b",
                label="[red]Meeting\x1broom[/red]",
                address="192.168.1.44",
                codec="H264",
                pair="relay",
                age_s=95,
                rtt_ms=38,
                loss_percent=2.4,
                jitter_ms=6.1,
                bitrate_kbps=5100,
                target_kbps=5400,
                queue_delay_ms=34.2,
                frames_dropped=41,
                plis=3,
            ),
            ViewerStats(id="v-3c", dialect="whep", age_s=2),
        ],
    )


def snapshot(second: int = 60, *, health: str = "live", problems: bool = True) -> Snapshot:
    """The whole box at a second of its life."""
    return Snapshot(
        box=Box(
            id="b0c4",
            name="edge-7",
            region="berlin",
            version="0.1.0",
            health=health,  # type: ignore[arg-type]
            uptime_s=273_600 + second,
            urls=["https://192.168.1.20:8443/", "https://edge-7.local:8443/"],
            fingerprint=":".join(["4F", "A1", "9C", "07"] * 8),
            hostname="edge-7",
        ),
        parts=[
            Part(name="gateway", ok=True, detail="0.0.0.0:8443"),
            Part(name="bus", ok=True, detail="nats-server 2.15.1 on 127.0.0.1"),
            Part(name="agent", ok=True, detail="announced"),
            Part(
                name="discovery",
                ok=not problems,
                detail="no multicast on eth0" if problems else "_fanlight._tcp",
            ),
        ],
        problems=[
            Problem(
                severity="warning",
                what="encoding in software: no GPU with an encoder was found",
                fix="fanlight doctor",
            ),
            Problem(severity="error", what="mDNS: no multicast on eth0", fix="ip link set eth0 multicast on"),
        ]
        if problems
        else [],
        hardware=Hardware(
            gpus=[
                Gpu(
                    name="Matrox G200eW3",
                    vendor="Matrox",
                    driver="mgag200",
                    pci="0000:03:00.0",
                    card="/dev/dri/card0",
                )
            ],
            encoders=[
                Encoder(
                    name="nvenc", codec="H264", hardware=True, works=False, detail="libcuda.so.1 is not there"
                ),
                Encoder(name="vaapi", codec="H264", hardware=True, works=False, detail="no render node"),
                Encoder(name="x264", codec="H264", hardware=False, works=True, detail="a frame in 4.1 ms"),
                Encoder(name="libvpx", codec="VP8", hardware=False, works=True, detail="a frame in 7.7 ms"),
            ],
            displays=[
                Display(name=":0", kind="x11", reachable=True, detail="1920x1080"),
                Display(name="wayland-1", kind="wayland", reachable=False, detail="belongs to uid 1000"),
            ],
            reason="no GPU with an encoder: encoding in software",
        ),
        applications=[
            Application(name="desktop", kind="desktop", autostart=True),
            Application(name="glxgears", kind="command"),
            Application(name="test-pattern", kind="test-pattern"),
        ],
        instances=[
            Instance(
                id="i-desk7f3a",
                application="desktop",
                state=InstanceState.RUNNING,
                session="s-5d01",
                restarts=1,
                uptime_s=7384 + second,
                stats=stats(second),
            ),
            Instance(
                id="i-gear01",
                application="glxgears",
                state=InstanceState.STARTED,
                session="s-77aa",
                detail="waiting for its screen",
                restarts=0,
                uptime_s=3,
            ),
        ],
        sessions=[
            Session(
                id="s-5d01",
                application="desktop",
                status=SessionStatus.ACTIVE,
                instance="i-desk7f3a",
                viewers=3,
            )
        ],
    )


def life(seconds: int = 90, **kwargs: Any) -> list[Snapshot]:
    """Snapshots of the last `seconds`."""
    return [snapshot(second, **kwargs) for second in range(60 - seconds, 61)]


ANSWERS: dict[str, Model | Done] = {
    "launch": Launched(instance="i-new", session="s-new"),
    "share": Share(id="sh-1", url=LINK, role=Role.VIEW, expires_at=NOW + 12 * 3600),
    "pair": Pin(pin="482913", expires_at=NOW + 95, url="https://192.168.1.20:8443/"),
    "devices": Devices(
        devices=[
            Device(
                id="d-1", name="Pixel phone", role=Role.CONTROL, paired_at=NOW - 86400, last_seen=NOW - 60
            ),
            Device(id="d-2", name="Firefox on Linux", role=Role.ADMIN, paired_at=NOW - 9 * 86400),
        ]
    ),
    "shares": Shares(
        shares=[
            ShareShown(
                id="sh-1",
                session="s-5d01",
                application="desktop",
                role=Role.VIEW,
                created_at=NOW - 3600,
                expires_at=NOW + 2 * 3600,
            )
        ]
    ),
}

LOG = Logs(
    began=NOW,
    records=[
        LogRecord(seq=1, time=NOW, level="INFO", name="appliance.daemon", text="serving"),
        LogRecord(seq=2, time=NOW + 1, level="WARNING", name="appliance.discovery.mdns", text="no multicast"),
        LogRecord(seq=3, time=NOW + 2, level="INFO", name="appliance.gateway.app", text="v-1a joined [b]"),
        LogRecord(seq=4, time=NOW + 3, level="ERROR", name="hw.encoders", text="nvenc: no libcuda.so.1"),
    ],
)


class ScriptedAppliance:
    """Shows the last of `snapshots`, then stays silent or fails; remembers every call."""

    def __init__(self, snapshots: list[Snapshot], *, then: FanlightError | None = None) -> None:
        self.snapshots = snapshots
        self.then = then
        self.calls: list[tuple[str, Model | None]] = []
        self.failing: FanlightError | None = None
        self.played = asyncio.Event()
        self.log = LOG
        self.knows_devices = asyncio.Event()
        self.knows_devices.set()

    async def call(self, method: str, params: Model | None, reply: type[Any]) -> Any:
        """Answer from the script."""
        if method == "devices":
            await self.knows_devices.wait()
        if method not in ("logs", "devices", "shares"):
            self.calls.append((method, params))
            if self.failing:
                raise self.failing
        if isinstance(params, LogsParams):
            records = [each for each in self.log.records if each.seq > params.after]
            return self.log.model_copy(update={"records": records})
        return ANSWERS.get(method, Done())

    async def watch(self) -> AsyncIterator[Snapshot]:
        """Show the present once, and again when the failure is over."""
        if self.snapshots and not (self.then and self.played.is_set()):
            yield self.snapshots[-1]
        self.played.set()
        if self.then:
            raise self.then
        await asyncio.Event().wait()


def make_app(script: ScriptedAppliance | None = None, **kwargs: Any) -> FanlightApp:
    """The app before a scripted daemon, with a past to draw and time standing still."""
    script = script or ScriptedAppliance(life())
    app = FanlightApp(script, clock=lambda: float(NOW), **kwargs)
    for each in script.snapshots[:-1]:
        app.history.add(each)
    return app


@pytest.fixture
def script() -> ScriptedAppliance:
    """A daemon in its ordinary life."""
    return ScriptedAppliance(life())


@pytest.fixture
def app(script: ScriptedAppliance) -> FanlightApp:
    """The app before `script`; made here, outside any event loop, as `fanlight tui` does."""
    return make_app(script)


@pytest.fixture
def read_only_app(script: ScriptedAppliance) -> FanlightApp:
    """The same with `--read-only`."""
    return make_app(script, read_only=True)


@pytest.fixture
def appliance_of() -> type[ScriptedAppliance]:
    """A daemon with another script."""
    return ScriptedAppliance


@pytest.fixture
def app_of() -> Callable[..., FanlightApp]:
    """The app before a scripted daemon: `app_of(script, read_only=…)`."""
    return make_app


@pytest.fixture
def snapshots() -> Callable[..., list[Snapshot]]:
    """The last seconds of the scripted box: `snapshots(90, health=…, problems=…)`."""
    return life
