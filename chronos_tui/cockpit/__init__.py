"""The shell of the cockpit: what surrounds the panels."""
