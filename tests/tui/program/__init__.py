"""`chronos-tui` as a process in a real terminal, over a real data directory."""
