"""Restores: planned, applied under a running engine, or over a database that is lost."""
