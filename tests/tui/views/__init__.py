"""What screens show, tested without a terminal."""
