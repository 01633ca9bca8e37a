"""The cockpit's themes: few colours with one meaning each. Words and symbols say the same without them."""

from __future__ import annotations

from textual.theme import Theme

DEFAULT = "dark"

DARK = Theme(
    name="dark",
    primary="#7aa2d8",
    secondary="#7aa2d8",
    accent="#7aa2d8",
    success="#8fbf7f",
    warning="#d9b45b",
    error="#e0756b",
    foreground="#d0d0d0",
    background="#161616",
    surface="#161616",
    panel="#262626",
    dark=True,
    variables={"held": "#b294d0", "dim": "#8a8a8a", "cursor": "#303a48", "border": "#444444"},
)
LIGHT = Theme(
    name="light",
    primary="#2b5fa8",
    secondary="#2b5fa8",
    accent="#2b5fa8",
    success="#2f7a2f",
    warning="#8a6100",
    error="#b3261e",
    foreground="#202020",
    background="#fafafa",
    surface="#fafafa",
    panel="#e8e8e8",
    dark=False,
    variables={"held": "#6b3fa0", "dim": "#6a6a6a", "cursor": "#d6e2f2", "border": "#bbbbbb"},
)
CONTRAST = Theme(
    name="contrast",
    primary="#ffff00",
    secondary="#ffff00",
    accent="#ffff00",
    success="#00ff00",
    warning="#ffd700",
    error="#ff6060",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#202020",
    dark=True,
    variables={"held": "#ff9cff", "dim": "#d0d0d0", "cursor": "#00408a", "border": "#ffffff"},
)
COLOUR_BLIND = Theme(
    # Okabe and Ito's palette: told apart with every common kind of colour blindness.
    name="colour-blind",
    primary="#56b4e9",
    secondary="#56b4e9",
    accent="#56b4e9",
    success="#009e73",
    warning="#e69f00",
    error="#d55e00",
    foreground="#d0d0d0",
    background="#161616",
    surface="#161616",
    panel="#262626",
    dark=True,
    variables={"held": "#cc79a7", "dim": "#8a8a8a", "cursor": "#303a48", "border": "#444444"},
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
    },
)
THEMES = (DARK, LIGHT, CONTRAST, COLOUR_BLIND, ANSI)
"""The first is the default; `:theme NAME` takes another."""
