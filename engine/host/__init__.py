"""The machine underneath: paths, configuration, files, locks, logs, systemd."""
