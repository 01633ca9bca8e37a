"""The cockpit, by its keys, in a real terminal, and as text."""
