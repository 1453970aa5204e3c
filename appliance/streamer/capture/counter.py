"""A frame counter as black and white squares, made to survive any encoder."""

import numpy as np
from numpy.typing import NDArray

BITS = 16
CELLS = BITS + 3
"""16 squares of Gray code, lowest bit first, then white, black, white to tell a counter from a picture."""
BLOCK = 24
"""Side of a square in pixels where there is room for all of them."""
_BLACK, _WHITE = 16, 235


def block_size(width: int) -> int:
    """Side of a square on a picture of `width` pixels."""
    return min(BLOCK, width // CELLS)


def draw_counter(luma: NDArray[np.uint8], number: int) -> None:
    """Draw `number` modulo 65536 into the top left corner of `luma` (height x width, limited range)."""
    number &= (1 << BITS) - 1
    gray = number ^ (number >> 1)
    side = block_size(luma.shape[1])
    cells = [gray >> bit & 1 for bit in range(BITS)] + [1, 0, 1]
    row = np.repeat(np.where(cells, _WHITE, _BLACK).astype(np.uint8), side)
    luma[:side, : row.size] = row


def read_counter(luma: NDArray[np.uint8]) -> int | None:
    """The number drawn into `luma`; None where there is no counter."""
    side = block_size(luma.shape[1])
    if not side:
        return None
    middles = luma[side // 2, side // 2 : side * CELLS : side] > 128
    if list(middles[BITS:]) != [True, False, True]:
        return None
    number = sum(int(bit) << position for position, bit in enumerate(middles[:BITS]))
    for shift in (8, 4, 2, 1):
        number ^= number >> shift
    return number
