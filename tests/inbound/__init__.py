"""The ways in: the HTTP API, the door around it, and events of other programs."""
