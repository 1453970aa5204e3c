"""What the routes of the AMS dialect work with."""

from dataclasses import dataclass

from appliance.ams.events import Events
from appliance.ams.operations import Operation, Operations
from appliance.ams.roster import Roster
from appliance.ams.shown import OperationShown
from appliance.config import Config
from appliance.instances.instance import Machine
from appliance.instances.manager import InstanceManager


@dataclass(frozen=True, slots=True)
class Context:
    """Shared by all routes; `node` is the name of this box."""

    node: str
    config: Config
    manager: InstanceManager
    machine: Machine
    roster: Roster
    operations: Operations
    events: Events

    @classmethod
    def of(cls, config: Config, manager: InstanceManager, machine: Machine) -> "Context":
        """Everything wired: changes of instances and operations are events."""
        events = Events()

        def changed(operation: Operation) -> None:
            events.tell("operation", OperationShown.of(operation))

        roster = Roster(manager, events)
        manager.listeners.append(roster.changed)
        return cls(config.box.name, config, manager, machine, roster, Operations(changed), events)
