"""The cockpit's themes: few colours with one meaning each. Words and symbols say the same without them."""

from __future__ import annotations

from textual.theme import Theme

DEFAULT = "dark"

# Every colour stands in the palette of 256 (cube 00 5f 87 af d7 ff, greys 08 12 … ee): it looks the same on a terminal
# that knows no more, and takes half the bytes on one that does.
DARK = Theme(
    name="dark",
    primary="#87afd7",
    secondary="#87afd7",
    accent="#87afd7",
    success="#87af5f",
    warning="#d7af5f",
    error="#ff8787",
    foreground="#d0d0d0",
    background="#121212",
    surface="#121212",
    panel="#262626",
    dark=True,
    variables={"held": "#af87d7", "dim": "#8a8a8a", "cursor": "#303030", "border": "#444444"},
)
LIGHT = Theme(
    name="light",
    primary="#005faf",
    secondary="#005faf",
    accent="#005faf",
    success="#005f00",
    warning="#875f00",
    error="#af0000",
    foreground="#1c1c1c",
    background="#eeeeee",
    surface="#eeeeee",
    panel="#d0d0d0",
    dark=False,
    variables={"held": "#5f00af", "dim": "#585858", "cursor": "#afd7ff", "border": "#9e9e9e"},
)
CONTRAST = Theme(
    name="contrast",
    primary="#ffff00",
    secondary="#ffff00",
    accent="#ffff00",
    success="#00ff00",
    warning="#ffd700",
    error="#ff8787",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    dark=True,
    variables={"held": "#ffafff", "dim": "#d0d0d0", "cursor": "#005faf", "border": "#ffffff"},
)
COLOUR_BLIND = Theme(
    # Near Okabe and Ito's palette: told apart with every common kind of colour blindness.
    name="colour-blind",
    primary="#5fafff",
    secondary="#5fafff",
    accent="#5fafff",
    success="#00af87",
    warning="#ffaf00",
    error="#d75f00",
    foreground="#d0d0d0",
    background="#121212",
    surface="#121212",
    panel="#262626",
    dark=True,
    variables={"held": "#d787af", "dim": "#8a8a8a", "cursor": "#303030", "border": "#444444"},
)
ANSI = Theme(
    name="ansi",
    primary="ansi_blue",
    secondary="ansi_blue",
    accent="ansi_cyan",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    dark=True,
    ansi=True,
    variables={
        "held": "ansi_magenta",
        "dim": "ansi_bright_black",
        "cursor": "ansi_bright_black",
        "border": "ansi_bright_black",
        # What Textual's own rules for such a theme ask for.
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
    },
)
THEMES = (DARK, LIGHT, CONTRAST, COLOUR_BLIND, ANSI)
"""The first is the default; `:theme NAME` takes another."""
