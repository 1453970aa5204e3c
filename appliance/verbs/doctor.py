"""`fanlight doctor`: proves each leg for real, and says what mends the one that fails."""

import asyncio
from pathlib import Path

from appliance.config import Config
from appliance.control.client import ControlClient
from appliance.control.schema import Snapshot
from appliance.errors import FanlightError
from appliance.verbs import doctor_ice as ice
from appliance.verbs import doctor_machine as machine
from appliance.verbs import doctor_network as network
from appliance.verbs.proof import Check, within
from hw.inventory import take_inventory

__all__ = ["Check", "run"]

_SECONDS = 10.0


async def run(config: Config, state_dir: Path, control_socket: Path) -> list[Check]:
    """All checks, in the order of a repair: the machine, the daemon, the network."""
    snapshot, why = await _ask_daemon(control_socket)
    async with asyncio.TaskGroup() as group:
        look = group.create_task(take_inventory())
        uinput = group.create_task(within(_SECONDS, "uinput", lambda: machine.uinput(config.input)))
        audio = group.create_task(within(_SECONDS, "audio", lambda: machine.audio(config.audio)))
        gateway = group.create_task(within(_SECONDS, "gateway", lambda: network.gateway(config, snapshot)))
        proof = group.create_task(
            within(_SECONDS, "certificate", lambda: network.certificate(config, snapshot))
        )
        bus = group.create_task(within(_SECONDS + 5, "NATS", lambda: network.bus(config, snapshot)))
        relays = group.create_task(ice.servers(config, state_dir))
        mdns = group.create_task(within(_SECONDS, "mDNS", lambda: network.discovery(config, snapshot)))
        clock = group.create_task(asyncio.to_thread(machine.clock))
        disk = group.create_task(asyncio.to_thread(machine.disk, state_dir))
        rules = group.create_task(asyncio.to_thread(machine.udev_rules))
        port = group.create_task(asyncio.to_thread(ice.ice_port, config, snapshot))
    found = look.result()
    return [
        *machine.encoders(found.gpus, found.encoders),
        await asyncio.to_thread(machine.render_nodes, found.gpus),
        *machine.displays(found.displays),
        uinput.result(),
        rules.result(),
        audio.result(),
        clock.result(),
        disk.result(),
        *network.daemon(snapshot, why),
        gateway.result(),
        proof.result(),
        bus.result(),
        port.result(),
        *relays.result(),
        mdns.result(),
    ]


async def _ask_daemon(control_socket: Path) -> tuple[Snapshot | None, str]:
    """What the running daemon says of itself, or why it says nothing."""
    try:
        return await ControlClient(control_socket, timeout_s=5).call("snapshot", None, Snapshot), ""
    except FanlightError as exc:
        return None, str(exc)
