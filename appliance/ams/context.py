"""What the routes of the AMS dialect work with."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from appliance.ams.events import Events
from appliance.ams.operations import Operation, Operations
from appliance.ams.roster import Roster
from appliance.ams.shown import OperationShown
from appliance.config import Config
from appliance.gateway.viewers import Socket
from appliance.instances.instance import Machine
from appliance.instances.manager import InstanceManager

Holding = Callable[[Socket], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Context:
    """Shared by all routes; `node` is the name of this box.

    `holding` a socket, it is ended when its caller is not known any more.
    """

    node: str
    config: Config
    manager: InstanceManager
    machine: Machine
    roster: Roster
    operations: Operations
    events: Events
    holding: Holding

    @classmethod
    def of(
        cls,
        config: Config,
        manager: InstanceManager,
        machine: Machine,
        holding: Holding,
    ) -> "Context":
        """Everything wired: changes of instances and operations are events."""
        events = Events()

        def changed(operation: Operation) -> None:
            events.tell("operation", OperationShown.of(operation))

        roster = Roster(manager, events)
        manager.listeners.append(roster.changed)
        return cls(config.box.name, config, manager, machine, roster, Operations(changed), events, holding)
