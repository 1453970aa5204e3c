"""What the routes of the AMS dialect work with."""

from dataclasses import dataclass

from appliance.ams.dialect import OperationShown
from appliance.ams.events import Events
from appliance.ams.operations import Operation, Operations
from appliance.ams.roster import Roster
from appliance.instances.manager import InstanceManager


@dataclass(frozen=True, slots=True)
class Context:
    """Shared by all routes; `node` is the name of this box."""

    node: str
    manager: InstanceManager
    roster: Roster
    operations: Operations
    events: Events

    @classmethod
    def of(cls, node: str, manager: InstanceManager) -> "Context":
        """Everything wired: changes of instances and operations are events."""
        events = Events()

        def changed(operation: Operation) -> None:
            events.tell("operation", OperationShown.of(operation))

        roster = Roster(manager, events)
        manager.listeners.append(roster.changed)
        return cls(node, manager, roster, Operations(changed), events)
