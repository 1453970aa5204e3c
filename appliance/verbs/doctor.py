"""`fanlight doctor`: proves each leg for real, and says what mends the one that fails."""

import asyncio
import os
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from appliance.config import Config
from appliance.control.client import ControlClient
from appliance.control.snapshot import Snapshot
from appliance.errors import FanlightError
from appliance.verbs import doctor_ice as ice
from appliance.verbs import doctor_machine as machine
from appliance.verbs import doctor_network as network
from appliance.verbs.doctor_user import daemons_user, name_of, tried_as
from appliance.verbs.proof import Check, within

__all__ = ["Check", "run"]

_SECONDS = 10.0


async def run(config: Config, state_dir: Path, control_socket: Path) -> list[Check]:
    """All checks, in the order of a repair: the machine, the daemon, the network."""
    snapshot, why = await _ask_daemon(control_socket)
    async with asyncio.TaskGroup() as group:
        legs = group.create_task(_machine(config, state_dir, control_socket))
        gateway = group.create_task(within(_SECONDS, "gateway", lambda: network.gateway(config, snapshot)))
        proof = group.create_task(
            within(_SECONDS, "certificate", lambda: network.certificate(config, snapshot))
        )
        bus = group.create_task(
            within(_SECONDS + 5, "NATS", lambda: network.bus(config, state_dir, snapshot))
        )
        relays = group.create_task(ice.servers(config, state_dir))
        mdns = group.create_task(within(_SECONDS, "mDNS", lambda: network.discovery(config, snapshot)))
        port = group.create_task(asyncio.to_thread(ice.ice_port, config, snapshot))
    return [
        *legs.result(),
        *network.daemon(snapshot, why),
        gateway.result(),
        proof.result(),
        bus.result(),
        port.result(),
        *relays.result(),
        mdns.result(),
    ]


async def _machine(config: Config, state_dir: Path, control_socket: Path) -> list[Check]:
    """The legs of the machine, as the daemon's user where we may be that."""
    daemon, we = await asyncio.to_thread(daemons_user, control_socket, state_dir), os.geteuid()
    if daemon == we:
        return await machine.legs(config, state_dir)
    name = name_of(daemon)
    if we != 0:
        detail = f"the daemon is {name}, and {name_of(we)} tried encoders, displays and sound"
        other = Check("user", None, detail, "sudo fanlight doctor")
        return [other, *(each for each in await machine.legs(config, state_dir) if each.name != "disk")]
    try:
        return await asyncio.to_thread(
            tried_as, daemon, control_socket.parent, machine.run_legs, config, state_dir
        )
    except (BrokenProcessPool, OSError) as exc:
        return [Check("machine", False, f"could not be tried as {name}: {exc}")]


async def _ask_daemon(control_socket: Path) -> tuple[Snapshot | None, str]:
    """What the running daemon says of itself, or why it says nothing."""
    try:
        return await ControlClient(control_socket, timeout_s=5).call("snapshot", None, Snapshot), ""
    except FanlightError as exc:
        return None, str(exc)
