"""From an application to what a streamer is told: which screen, which programs, which encoders."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from appliance.bus.messages import Screen, ScreenWish
from appliance.config import ApplicationSection, Config
from appliance.errors import NotFoundError
from appliance.instances.screens import desktop_programs

logger = logging.getLogger(__name__)


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
    """At first: clients may change it."""
    display: str = ""
    xauthority: str = ""
    programs: list[list[str]] = field(default_factory=list)
    essential: bool = False
    """The program is the application: its end is the instance's end."""
    why: str = ""
    largest: Screen = field(default_factory=Screen)
    """What the screen may become."""

    @property
    def own_screen(self) -> bool:
        """Whether its programs have a screen that nobody else sees."""
        return self.source in ("virtual", "command")

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


def largest_screen(application: ApplicationSection, config: Config) -> Screen:
    """What the screen of `application` may be at most."""
    width, height = config.video.largest
    return Screen(width=width, height=height, fps=application.fps or config.video.fps)


def screen_for(application: ApplicationSection, config: Config, wish: ScreenWish | None) -> Screen:
    """The application's screen with what is wished for, within what it may be at most."""
    width, height = application.width_height
    largest = largest_screen(application, config)
    configured = Screen(width=width, height=height, fps=largest.fps)
    return (wish or ScreenWish()).of(configured).within(largest)


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
    """The display that the configuration or the environment names, else one that answers, else our own.

    Where nothing answers at the one in the environment, it is our own, and none that nobody named.
    """
    named = application.env.get("DISPLAY"), application.env.get("WAYLAND_DISPLAY")
    if named[0]:
        xauthority = application.env.get("XAUTHORITY", os.environ.get("XAUTHORITY", ""))
        return Plan("x11", screen, named[0], xauthority, why="named in the configuration")
    if named[1]:
        return Plan("wayland", screen, named[1], why="named in the configuration")
    missing = []
    if wanted := os.environ.get("DISPLAY"):
        if not _is_missing(wanted, "x11", displays):
            return Plan("x11", screen, wanted, os.environ.get("XAUTHORITY", ""), why="$DISPLAY")
        missing.append(f"$DISPLAY ({wanted})")
    if wanted := os.environ.get("WAYLAND_DISPLAY"):
        if not _is_missing(wanted, "wayland", displays):
            return Plan("wayland", screen, wanted, why="$WAYLAND_DISPLAY")
        missing.append(f"$WAYLAND_DISPLAY ({wanted})")
    if missing:
        why = f"nothing answers at {' and '.join(missing)}: a screen of our own"
        logger.warning("%s: %s", application.name, why)
        return Plan("virtual", screen, programs=desktop_programs(), why=why)
    for display in displays:
        if display.reachable:
            source: Literal["x11", "wayland"] = "x11" if display.kind == "x11" else "wayland"
            return Plan(source, screen, display.name, display.xauthority, why="found on this machine")
    return Plan("virtual", screen, programs=desktop_programs(), why="no display on this machine: our own")


def _is_missing(wanted: str, kind: str, displays: Sequence[FoundDisplay]) -> bool:
    """Whether somebody looked for `wanted`, and nothing answered there."""
    name = Path(wanted.removeprefix("unix")).name
    return any(each.kind == kind and Path(each.name).name == name and not each.reachable for each in displays)
