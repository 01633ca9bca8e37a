"""Pure decisions: no I/O, no clock, no randomness but what is handed in."""
