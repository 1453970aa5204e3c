"""Writes what a streamer is told at birth."""

import os
from pathlib import Path

from appliance.bus.connection import BusAddress
from appliance.bus.spec import EncoderChoice, Kind, StreamerSpec
from appliance.config import Config
from appliance.instances.instance import Instance
from appliance.instances.plan import Plan
from appliance.instances.screens import ScreenHandle
from appliance.recordings import Shelf


def specification(
    config: Config,
    bus: BusAddress,
    instance: Instance,
    plan: Plan,
    screen: ScreenHandle,
    encoders: list[EncoderChoice],
    *,
    channels: Path,
    recordings: Path,
    resumed: bool,
) -> StreamerSpec:
    """Everything that the streamer of `instance` needs."""
    application = instance.application
    kind: Kind = "x11" if plan.source == "virtual" else plan.source
    return StreamerSpec(
        instance=instance.id,
        session=instance.session,
        application=application.name,
        kind=kind,
        display=screen.display,
        xauthority=screen.xauthority,
        command=plan.programs[0] if plan.source == "command" else [],
        within=instance.within,
        env=instance.env,
        file=application.file,
        screen=instance.screen,
        largest=plan.largest,
        resizable=plan.resizable,
        encoders=encoders,
        bitrate_kbps=config.video.bitrate_kbps,
        audio=config.audio.enabled,
        audio_source=config.audio.source,
        audio_frame_ms=config.audio.frame_ms,
        pulse_server=instance.env.get("PULSE_SERVER", os.environ.get("PULSE_SERVER", "")),
        own_sound=instance.sound is not None,
        input=config.input.enabled,
        clipboard=config.input.clipboard,
        gamepads=config.input.gamepads,
        udp_port=config.ice.udp_port,
        udp_ports=config.limits.instances,
        external_address=config.ice.external_address,
        publication=instance.publication,
        ice=config.ice,
        record=instance.record,
        recordings=str(recordings / (Shelf.CHANNEL if instance.wish.channel else Shelf.APPLICATION)),
        viewers_max=config.limits.viewers_per_session,
        viewers_per_process=config.limits.viewers_per_process,
        channels=str(channels),
        bus_url=bus.url,
        bus_user=bus.user,
        bus_password=bus.password,
        bus_credentials=bus.credentials,
        bus_seed=bus.seed,
        bus_ca=bus.ca,
        bus_inbox=bus.inbox,
        resumed=resumed,
    )
