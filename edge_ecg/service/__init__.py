"""edge-ecg as a service of the device: its configuration, its unit, and the process that never leaves.

config      one TOML file: read, checked, written with a comment on every key
unit        the systemd unit that the configuration needs, and no more than that
main        the process: a model, a reader that always comes back, a heart that systemd can feel
"""
