"""The HTTP door: a server with limits in front of the API. Delivers nothing."""
