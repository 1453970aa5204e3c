"""How many repair packets a viewer's picture is sent with: none but where packets are lost at random."""

_WEIGHT = 0.05
_NOTICED, _GONE = 0.005, 0.002
_STRONGER = (0.02, 0.04)
"""From these shares on one more: one group in twenty or fewer has to be asked for all the same."""
_SHARE_WEIGHT = 0.1


class Protection:
    """Sans-IO; to be looked at ten times a second."""

    def __init__(self) -> None:
        self.repairs = 0
        """Repair packets for each group of packets."""
        self.share = 0.0
        """Of what is sent of late, in bytes, that is repair packets."""
        self._loss = 0.0

    def look(self, random_loss: float | None) -> None:
        """Take note of the share of packets that are lost; None where it may be for want of room."""
        if not self.repairs:
            self.share -= _SHARE_WEIGHT * self.share
        if random_loss is None:
            self.repairs = 0
            return
        self._loss += _WEIGHT * (random_loss - self._loss)
        if self._loss < (_GONE if self.repairs else _NOTICED):
            self.repairs = 0
        else:
            self.repairs = 1 + sum(self._loss >= share for share in _STRONGER)

    def spent(self, repairing: int, picture: int) -> None:
        """So many bytes of repair packets went with so many of a frame."""
        self.share += _SHARE_WEIGHT * (repairing / (repairing + picture) - self.share)
