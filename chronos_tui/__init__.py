"""The front ends: the cockpit, the headless engine and the `chronos` command. No rule of the domain lives here."""
