"""The cockpit's screens as text, compared with what they were when somebody last looked at them."""
