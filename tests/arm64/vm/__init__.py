"""A whole arm64 Debian with systemd in qemu-system, for what only a whole system can show."""
