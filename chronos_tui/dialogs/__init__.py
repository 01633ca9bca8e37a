"""Dialogs over the panels: each asks one thing and returns the answer."""
