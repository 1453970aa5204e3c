"""Fresh machines, the wire to them, and a browser at its other end."""

import shutil
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests.support.box import CHROMIUM
from tests.support.machine import (
    Machine,
    Network,
    bare_root,
    copy_working_tree,
    namespace,
    unpack,
    user_mode_nat,
    wire,
)


@pytest.fixture
def inside() -> Iterator[Network]:
    """The network of the machine: 10.77.0.1, and the package registries."""
    with namespace() as network, user_mode_nat(network):
        yield network


@pytest.fixture
def outside(inside: Network) -> Iterator[Network]:
    """The network of somebody else, 10.77.0.2: a wire to the machine, nothing more."""
    with namespace() as network:
        wire(inside, network)
        yield network


@pytest.fixture
async def browser(outside: Network, tmp_path: Path) -> AsyncIterator[Browser]:
    """Headless Chromium in the network outside."""
    starter = tmp_path / "chromium"
    starter.write_text(f'#!/bin/sh\nexec {" ".join(outside.inside("/usr/bin/chromium"))} "$@"\n')
    starter.chmod(starter.stat().st_mode | stat.S_IXUSR)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=starter, args=list(CHROMIUM))
        yield running
        await running.close()


@pytest.fixture
async def machine(inside: Network, tmp_path: Path) -> AsyncIterator[Callable[..., Machine]]:
    """Makes fresh machines with the named packages; they are gone after the test."""
    machines: list[Machine] = []

    def make(packages: tuple[str, ...]) -> Machine:
        root = tmp_path / f"machine{len(machines)}"
        unpack(bare_root(packages), root)
        copy_working_tree(root)
        machines.append(Machine(root, inside))
        return machines[-1]

    yield make
    for each in machines:
        await each.cut_power()
        shutil.rmtree(each.root, ignore_errors=True)
