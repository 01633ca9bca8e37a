"""Ways in: what knocks from outside. Reads the body only after it knows who sends it. Decides nothing."""
