"""The engine of Chronos: the durable outbox and everything that guards it. It knows no front end."""

__version__ = "0.1.0"
