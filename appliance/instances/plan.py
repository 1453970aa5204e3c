"""From an application to what a streamer is told: which screen, which programs, which encoders."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from appliance.bus.messages import Screen
from appliance.config import ApplicationSection, Config
from appliance.errors import NotFoundError
from appliance.instances.screens import desktop_programs


class FoundDisplay(Protocol):
    """A display as hw/ reports it."""

    @property
    def name(self) -> str:
        """`:0`, or a Wayland socket."""

    @property
    def kind(self) -> str:
        """x11 or wayland."""

    @property
    def reachable(self) -> bool:
        """Whether a connection was made just now."""

    @property
    def xauthority(self) -> str:
        """The file whose cookie opened it, empty where it needs none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one instance gets its picture."""

    source: Literal["virtual", "x11", "wayland", "command", "camera", "file", "test-pattern", "channel"]
    screen: Screen
    display: str = ""
    xauthority: str = ""
    programs: list[list[str]] = field(default_factory=list)
    essential: bool = False
    """The program is the application: its end is the instance's end."""
    why: str = ""
    largest: tuple[int, int] = (0, 0)
    """What the screen may become, where its size can change."""

    @property
    def resizable(self) -> bool:
        """Whether a client may ask for another size."""
        return self.source in ("virtual", "test-pattern")


def find_application(config: Config, name: str) -> ApplicationSection:
    """Raises NotFoundError."""
    for application in config.application:
        if application.name == name:
            return application
    raise NotFoundError(f"application {name!r} is not configured")


def channel_application(name: str) -> ApplicationSection:
    """What shows the master of the channel `name`: no configuration can say that, or has such names."""
    return ApplicationSection.model_construct(name=name, kind="channel", gpu="software")  # type: ignore[arg-type]


def screen_for(application: ApplicationSection, config: Config, asked: Screen | None) -> Screen:
    """The asked size, or the application's, within `video.max_size`, even, at a rate we may have."""
    width, height = (asked.width, asked.height) if asked else application.width_height
    largest_width, largest_height = config.video.largest
    fps = asked.fps if asked else (application.fps or config.video.fps)
    return Screen(
        width=min(width + width % 2, largest_width),
        height=min(height + height % 2, largest_height),
        fps=min(fps, application.fps or config.video.fps),
        density=asked.density if asked else 96,
    )


def make_plan(
    application: ApplicationSection, screen: Screen, displays: Sequence[FoundDisplay], *, wayland: bool
) -> Plan:
    """Decide where `application` gets its picture; `wayland`: pixelflux's compositor may be used."""
    match application.kind:
        case "desktop":
            return _desktop(application, screen, displays)
        case "command" if application.screen == "wayland" and wayland:
            return Plan("command", screen, programs=[application.command], essential=True)
        case "command":
            why = "a virtual X screen of its own"
            return Plan("virtual", screen, programs=[application.command], essential=True, why=why)
        case kind:
            return Plan(kind, screen)


def _desktop(application: ApplicationSection, screen: Screen, displays: Sequence[FoundDisplay]) -> Plan:
    """The display that the configuration or the environment names, else one that answers, else our own."""
    named = application.env.get("DISPLAY"), application.env.get("WAYLAND_DISPLAY")
    if named[0]:
        xauthority = application.env.get("XAUTHORITY", os.environ.get("XAUTHORITY", ""))
        return Plan("x11", screen, named[0], xauthority, why="named in the configuration")
    if named[1]:
        return Plan("wayland", screen, named[1], why="named in the configuration")
    if wanted := os.environ.get("DISPLAY"):
        return Plan("x11", screen, wanted, os.environ.get("XAUTHORITY", ""), why="$DISPLAY")
    if wanted := os.environ.get("WAYLAND_DISPLAY"):
        return Plan("wayland", screen, wanted, why="$WAYLAND_DISPLAY")
    for display in displays:
        if display.reachable:
            source: Literal["x11", "wayland"] = "x11" if display.kind == "x11" else "wayland"
            return Plan(source, screen, display.name, display.xauthority, why="found on this machine")
    return Plan("virtual", screen, programs=desktop_programs(), why="no display on this machine: our own")
