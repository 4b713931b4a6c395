"""A Raspberry Pi's userland, emulated: real aarch64 wheels in a real arm64 Debian, board by board."""
