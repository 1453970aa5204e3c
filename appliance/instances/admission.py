"""Who may start, and on which GPU: slots of the box, of its GPUs, and of their encoders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.config import Config
from appliance.errors import NoCapacityError


@dataclass(frozen=True, slots=True)
class Seat:
    """What an instance has taken; `gpu` is the render node of the GPU, None where it encodes in software."""

    gpu: str | None = None
    gpu_slots: int = 0


class Admission:
    """Counts slots. Slots count instances; they do not limit what one uses.

    `gpus` tells the render nodes of the GPUs that can encode.
    """

    def __init__(self, config: Callable[[], Config], gpus: Callable[[], Sequence[str]]) -> None:
        self._config = config
        self._gpus = gpus
        self.seats: dict[str, Seat] = {}
        """By instance."""
        self.closed = ""
        """Why nobody is admitted, whatever is free; empty: who fits is."""

    @property
    def total(self) -> int:
        """Instances that may run at once."""
        return self._config().limits.instances

    @property
    def free(self) -> int:
        """Instances that may still be launched."""
        return 0 if self.closed else max(0, self.total - len(self.seats))

    @property
    def free_encoders(self) -> int:
        """Hardware encoder slots that are not taken, of all GPUs."""
        return sum(self._free_encoders_of(gpu) for gpu in self._gpus())

    def admit(
        self, instance: str, *, video: str, gpu_slots: int = 1, among: Sequence[str] | None = None
    ) -> Seat:
        """Take slots for an instance, on a GPU of `among` (None: any).

        `video`: `gpu` (refuse without a slot), `gpu-preferred`, `software`. Raises NoCapacityError.
        """
        if self.closed:
            raise NoCapacityError(self.closed)
        if not self.free:
            raise NoCapacityError(f"all {self.total} instances of this box are in use")
        gpu = None if video == "software" else self._best(gpu_slots, self._gpus() if among is None else among)
        if video == "gpu" and gpu is None:
            raise NoCapacityError("no encoder of a GPU is free on this box")
        self.seats[instance] = seat = Seat() if gpu is None else Seat(gpu, gpu_slots)
        return seat

    def release(self, instance: str) -> None:
        """Give the slots back; nothing happens if it has none."""
        self.seats.pop(instance, None)

    def _best(self, wanted: int, gpus: Sequence[str]) -> str | None:
        """The emptiest GPU that has room, or with `binpack` the fullest."""
        roomy = [gpu for gpu in gpus if self._free_of(gpu) >= wanted and self._free_encoders_of(gpu)]
        choose = min if self._config().instances.scheduling == "binpack" else max
        return choose(roomy, key=self._free_of, default=None)

    def _free_of(self, gpu: str) -> int:
        taken = sum(seat.gpu_slots for seat in self.seats.values() if seat.gpu == gpu)
        return self._config().instances.gpu_slots - taken

    def _free_encoders_of(self, gpu: str) -> int:
        taken = sum(seat.gpu == gpu for seat in self.seats.values())
        return max(0, self._config().instances.encoder_slots - taken)
