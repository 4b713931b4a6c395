"""A USB serial port as the kernel shows it in /sys."""

from __future__ import annotations

from pathlib import Path


def plug(
    root: Path, tty: str, vid: str, pid: str, product: str, *, by_id: str = "", bus: str = "1-1"
) -> None:
    """Lay out what the kernel shows for a USB serial port: device, interface, port, and the link to it."""
    usb = root / f"sys/devices/pci0000:00/usb1/{bus}"
    port = usb / f"{bus}:1.0/{tty}"
    port.mkdir(parents=True)
    for name, text in {
        "idVendor": vid,
        "idProduct": pid,
        "manufacturer": "Maker",
        "product": product,
    }.items():
        (usb / name).write_text(f"{text}\n")
    folder = root / f"sys/class/tty/{tty}"
    folder.mkdir(parents=True)
    (folder / "device").symlink_to(port)
    if by_id:
        links = root / "dev/serial/by-id"
        links.mkdir(parents=True, exist_ok=True)
        (links / by_id).symlink_to(f"../../{tty}")
