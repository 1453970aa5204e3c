"""Who may start: slots of the machine, of its GPUs and of their encoders."""

from dataclasses import dataclass

from appliance.errors import NoCapacityError


@dataclass(frozen=True, slots=True)
class Slots:
    """How many instances fit: in all, and with an encoder of the GPU."""

    instances: int
    encoders: int


class Admission:
    """Counts slots. Slots count instances; they do not limit what one uses."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.closed = ""
        """Why nobody is admitted, whatever is free; empty: who fits is."""
        self._hardware: dict[str, bool] = {}

    @property
    def free(self) -> int:
        """Instances that may still be launched."""
        return 0 if self.closed else max(0, self.slots.instances - len(self._hardware))

    @property
    def free_encoders(self) -> int:
        """Hardware encoder slots that are not taken."""
        return max(0, self.slots.encoders - sum(self._hardware.values()))

    def admit(self, instance: str, *, video: str, hardware_there: bool) -> bool:
        """Take a slot; True if the instance may encode in hardware.

        `video`: `gpu` (refuse without a slot), `gpu-preferred`, `software`. Raises NoCapacityError.
        """
        if self.closed:
            raise NoCapacityError(self.closed)
        if not self.free:
            raise NoCapacityError(f"all {self.slots.instances} instances of this box are in use")
        hardware = video != "software" and hardware_there and self.free_encoders > 0
        if video == "gpu" and not hardware:
            raise NoCapacityError("no encoder of a GPU is free on this box")
        self._hardware[instance] = hardware
        return hardware

    def release(self, instance: str) -> None:
        """Give the slot back; nothing happens if it has none."""
        self._hardware.pop(instance, None)
