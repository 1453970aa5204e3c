"""Legs of the machine itself: encoders, displays, input devices, sound, clock, disk."""

import asyncio
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import evdev

from appliance.config import AudioSection, Config, InputSection
from appliance.instances.screens import is_ours
from appliance.instances.sound import PROGRAM as SOUND_SERVER
from appliance.verbs.doctor_user import name_of
from appliance.verbs.proof import Check, within
from hw.displays import Display
from hw.encoders import SESSIONS_TAKEN, EncoderProbe
from hw.gpus import Gpu
from hw.inventory import NOT_TRIED, take_inventory, why_no_hardware

_SECONDS = 10.0
_OUR_DATE = Path(__file__).stat().st_mtime
_FREE_BYTES = 200 << 20
_UINPUT = Path("/dev/uinput")
_WITHOUT_UINPUT = "viewers' gamepads are not passed on; keyboard and pointer are"
_RULES = ("/etc/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
_INSTALLED = Path("/opt/fanlight/current")
_DRIVERS = {
    "NVIDIA": "sudo apt-get install nvidia-driver libnvidia-encode1",
    "Intel": "sudo apt-get install intel-media-va-driver vainfo",
    "AMD": "sudo apt-get install mesa-va-drivers vainfo",
}


async def legs(config: Config, state_dir: Path) -> list[Check]:
    """All of them, tried as whoever this process is."""
    async with asyncio.TaskGroup() as group:
        look = group.create_task(take_inventory())
        input_device = group.create_task(within(_SECONDS, "uinput", lambda: uinput(config.input)))
        sound = group.create_task(within(_SECONDS, "audio", lambda: audio(config.audio)))
    found = look.result()
    return [
        *encoders(found.gpus, found.encoders),
        await asyncio.to_thread(render_nodes, found.gpus),
        *await asyncio.to_thread(displays, found.displays),
        input_device.result(),
        await asyncio.to_thread(udev_rules),
        sound.result(),
        await asyncio.to_thread(clock),
        await asyncio.to_thread(disk, state_dir),
    ]


def run_legs(config: Config, state_dir: Path) -> list[Check]:
    """`legs`, in a process of their own."""
    return asyncio.run(legs(config, state_dir))


def encoders(gpus: Sequence[Gpu], probes: Sequence[EncoderProbe]) -> list[Check]:
    """One check for each encoder that was tried, and one for hardware encoding as a whole."""
    checks = [
        Check(
            f"encoder {each.name} {each.codec} ({each.backend})",
            each.works,
            each.detail,
            "" if each.works else _encoder_fix(each, gpus),
        )
        for each in probes
    ]
    if any(each.hardware and each.works for each in probes):
        return checks
    # A machine without a GPU is normal.
    ok = False if gpus else None
    fix = next((_DRIVERS[gpu.vendor] for gpu in gpus if gpu.vendor in _DRIVERS), "")
    return [*checks, Check("hardware encoding", ok, why_no_hardware(gpus, probes), fix)]


def _encoder_fix(probe: EncoderProbe, gpus: Sequence[Gpu]) -> str:
    if probe.detail.startswith(NOT_TRIED):
        return ""
    if SESSIONS_TAKEN in probe.detail:
        return "stop an instance that encodes, or another program that does, and try again"
    if not probe.hardware:
        return "run install.sh again: the wheel does not fit this machine"
    gpu = next((gpu for gpu in gpus if gpu.render_node == probe.render_node), None)
    return _DRIVERS.get(gpu.vendor, "") if gpu else ""


def render_nodes(gpus: Sequence[Gpu]) -> Check:
    """Whether this process may open the nodes that encoding needs. Blocks."""
    nodes = [gpu.render_node for gpu in gpus if gpu.render_node]
    if not nodes:
        return Check("GPU access", None, "no render node")
    if closed := [node for node in nodes if not os.access(node, os.R_OK | os.W_OK)]:
        fix = f"sudo usermod -aG render,video {name_of(os.geteuid())}, then start its session or service anew"
        return Check("GPU access", False, f"may not open {', '.join(closed)}", fix)
    return Check("GPU access", True, ", ".join(nodes))


def displays(found: Sequence[Display]) -> list[Check]:
    """One check for each display; none at all is normal. Blocks."""
    if not found:
        return [Check("display", None, "none on this machine: desktop gets a virtual screen of its own")]
    checks = []
    for each in found:
        fix = ""
        if not each.served:
            checks.append(Check(f"display {each.name}", None, each.detail))
            continue
        if not each.reachable and is_ours(each.name):
            checks.append(
                Check(f"display {each.name}", None, "a virtual screen of an instance, closed to others")
            )
            continue
        if not each.reachable and each.kind == "x11":
            fix = "run as its user: xhost +si:localuser:fanlight, or set XAUTHORITY"
        elif not each.reachable:
            fix = "run fanlight as the user of that session"
        checks.append(Check(f"display {each.name}", each.reachable, each.detail, fix))
    return checks


async def uinput(section: InputSection) -> Check:
    """Create an input device and take it away again; only gamepads need it, so that failing is no fault."""
    if not section.enabled or not section.gamepads:
        return Check("uinput", None, f"{'gamepads are' if section.enabled else 'input is'} off")
    if not await asyncio.to_thread(_UINPUT.exists):
        return Check("uinput", None, f"{_UINPUT} is missing; {_WITHOUT_UINPUT}", "sudo modprobe uinput")
    try:
        await asyncio.to_thread(_create_device)
    except (OSError, evdev.UInputError) as exc:
        name = name_of(os.geteuid())
        fix = f"sudo usermod -aG input {name} && sudo udevadm trigger --name-match=uinput"
        return Check("uinput", None, f"{exc}; {_WITHOUT_UINPUT}", fix)
    return Check("uinput", True, "a keyboard was created and removed")


def _create_device() -> None:
    with evdev.UInput({evdev.ecodes.EV_KEY: [evdev.ecodes.KEY_A]}, name="fanlight doctor"):
        pass


def udev_rules() -> Check:
    """Whether an installed box has its udev rules. Blocks."""
    found = [file for folder in _RULES for file in Path(folder).glob("*fanlight*.rules")]
    if found:
        return Check("udev rules", True, str(found[0]))
    if not _INSTALLED.exists():
        return Check("udev rules", None, "not installed on this machine")
    return Check("udev rules", False, "the rules of the installation are missing", "sudo ./install.sh")


def _is_there(program: str) -> bool:
    return shutil.which(program) is not None


async def audio(section: AudioSection) -> Check:
    """Resolve the monitor of the default output by name: never a microphone."""
    if not section.enabled:
        return Check("audio", None, "sound is off")
    if not await asyncio.to_thread(_is_there, "pactl"):
        why = "no pactl to ask with, and screens of our own are silent"
        return Check("audio", None, why, "sudo apt-get install pulseaudio")
    code, sources = await _output("pactl", "list", "short", "sources")
    if code:
        if section.source == "auto" and await asyncio.to_thread(_is_there, SOUND_SERVER):
            return Check("audio", True, "none on this machine; each screen of our own has a sound server")
        why = "no sound server answers: video goes on without sound"
        return Check("audio", None, why, "sudo apt-get install pulseaudio")
    names = [line.split("\t")[1] for line in sources.splitlines() if "\t" in line]
    wanted = section.source
    if wanted == "auto":
        _, sink = await _output("pactl", "get-default-sink")
        wanted = f"{sink.strip()}.monitor"
    if wanted in names:
        return Check("audio", True, wanted)
    fix = f"set [audio] source to one of: {', '.join(names) or 'none here'}"
    return Check("audio", False, f"no source {wanted!r}", fix)


async def _output(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    return process.returncode or 0, out.decode(errors="replace")


def clock(now: float | None = None) -> Check:
    """Certificates and signatures need the time; before the date of our own files it is wrong."""
    now = time.time() if now is None else now
    if now < _OUR_DATE - 86400:
        said = time.strftime("%Y-%m-%d %H:%M", time.gmtime(now))
        return Check("clock", False, f"it says {said} UTC", "sudo timedatectl set-ntp true")
    return Check("clock", True, time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now)))


def disk(state_dir: Path) -> Check:
    """Room for state, and the right to write it. Blocks."""
    folder = next(each for each in (state_dir, *state_dir.absolute().parents) if each.is_dir())
    if not os.access(folder, os.W_OK):
        fix = f"sudo chown -R {name_of(os.geteuid())} {folder}"
        return Check("disk", False, f"may not write {folder}", fix)
    free = shutil.disk_usage(folder).free
    detail = f"{free >> 20} MiB free in {folder}"
    if free < _FREE_BYTES:
        return Check("disk", False, detail, "sudo journalctl --vacuum-size=100M; sudo apt-get clean")
    return Check("disk", True, detail)
