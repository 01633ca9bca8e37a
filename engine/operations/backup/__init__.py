"""Backups: made, proved, kept, copied and watched. One use case a module; see docs/architecture.md."""
