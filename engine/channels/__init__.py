"""Ways out: one module a channel, the protocol they share, and the registry that finds them."""
