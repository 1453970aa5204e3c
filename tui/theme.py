"""Two themes in the colours of a lit fanlight: blue night and warm glass, and the same by day.

No state is told by colour alone, and no pair of them by red against green.
"""

from typing import Final

from textual.theme import Theme

NIGHT: Final = Theme(
    name="fanlight",
    primary="#6f9bd8",
    secondary="#4a6796",
    accent="#ffc56e",
    success="#7cc4f0",
    warning="#ff9f45",
    error="#ff7a93",
    foreground="#d8e1f0",
    background="#0b1322",
    surface="#101b2e",
    panel="#182741",
    dark=True,
    variables={
        "faint": "#8497ba",
        "border": "#2b4068",
        "border-blurred": "#22345a",
        "footer-background": "#101b2e",
        "footer-key-foreground": "#ffc56e",
        "footer-description-foreground": "#a9b9d3",
        "block-cursor-background": "#ffc56e",
        "block-cursor-foreground": "#0b1322",
        "block-cursor-blurred-background": "#22345a",
        "input-selection-background": "#6f9bd8 35%",
        "scrollbar": "#2b4068",
        "scrollbar-hover": "#4a6796",
        "scrollbar-active": "#ffc56e",
        "scrollbar-background": "#0b1322",
    },
)

DAY: Final = Theme(
    name="fanlight-day",
    primary="#2c5aa0",
    secondary="#6c87b4",
    accent="#9a5b00",
    success="#0b6aa8",
    warning="#a84f00",
    error="#b01745",
    foreground="#17233a",
    background="#f6f4ee",
    surface="#ece8dd",
    panel="#dfe3ea",
    dark=False,
    variables={
        "faint": "#5d6c86",
        "border": "#a9b8d0",
        "border-blurred": "#c3cddd",
        "footer-key-foreground": "#9a5b00",
        "block-cursor-background": "#2c5aa0",
        "block-cursor-foreground": "#f6f4ee",
    },
)
