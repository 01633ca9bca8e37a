"""What reaches the terminal, and what the terminal is left as."""
