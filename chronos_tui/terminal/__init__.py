"""The wire: what reaches the terminal, what comes from it, and the state it is left in."""
