"""Whether this machine is emulated: then what it computes counts, and the time it takes means nothing.

A whole emulated system shows its maker in the device tree, the firmware's table (DMI), or the name of its SD
card. An emulated process (QEMU's user mode, Rosetta, FEX) is harder to see, since the emulator answers the
questions that programs ask most; but the kernel below is another one's, and says so in places that nobody
thought of. A virtual machine on hardware of its own kind (KVM, a cloud's) is not emulated: it runs at the
speed of its processor, though not alone.
"""

from __future__ import annotations

import os

from ..health import Host

# What `uname -m` and /proc/sys/kernel/arch may say, by the instructions that they stand for.
_FAMILIES = {"x86": ("x86_64", "amd64", "i386", "i486", "i586", "i686"), "ARM": ("aarch64", "arm64", "armv")}
# A line that /proc/cpuinfo has on such a processor only.
_CPUINFO_LINES = {"x86": "vendor_id", "ARM": "CPU implementer"}
# Clocks that a hypervisor offers its guests. QEMU that emulates the processor offers none of them.
_HYPERVISOR_CLOCKS = {"kvm-clock": "KVM", "hyperv_clocksource": "Hyper-V", "xen": "Xen"}


def emulated(host: Host | None = None) -> str | None:
    """Return by what one can tell that this machine is emulated; None when nothing says so.

    Parameters
    ----------
    host:
        The machine; None for this one.

    """
    host = host or Host()
    return _system(host) or _process(host)


def virtual_machine(host: Host | None = None) -> str | None:
    """Return the name of the hypervisor that shares a real processor with this machine; None without one."""
    host = host or Host()
    if emulated(host) is not None:
        return None
    clocks = _clocks(host)
    for clock, hypervisor in _HYPERVISOR_CLOCKS.items():
        if clock in clocks:
            return hypervisor
    if host.read("sys/hypervisor/type") == "xen":
        return "Xen"
    flags = next((line for line in _cpuinfo(host) if line.startswith("flags")), "")
    return "a hypervisor" if "hypervisor" in flags.split() or _dmi(host, "sys_vendor") == "QEMU" else None


def _system(host: Host) -> str | None:
    """Whether the whole machine is emulated."""
    if "linux,dummy-virt" in (host.read("proc/device-tree/compatible") or "").split("\0"):
        return "the device tree is that of QEMU's virtual board (linux,dummy-virt)"
    if _dmi(host, "product_name") == "QEMU Virtual Machine":  # under KVM: "KVM Virtual Machine"
        return "the firmware names the board QEMU Virtual Machine"
    for path in host.glob("sys/block/mmcblk*/device/name"):
        if host.read(path) == "QEMU!":
            return "the SD card is named QEMU!"
    if host.is_pi and "QEMU" in map(host.read, host.glob("sys/bus/usb/devices/*/manufacturer")):
        return "a USB device of this Raspberry Pi is made by QEMU"
    if any(line.startswith("model name") and "QEMU TCG" in line for line in _cpuinfo(host)):
        return "the processor is named QEMU TCG CPU"
    if _dmi(host, "sys_vendor") == "QEMU" and _family(host.architecture) == "x86":
        clocks = _clocks(host)
        if clocks and not any(clock in clocks for clock in _HYPERVISOR_CLOCKS):
            return "the firmware is QEMU's, and no hypervisor offers its clock"
    return None


def _process(host: Host) -> str | None:
    """Whether the kernel is that of another processor than this program's."""
    ours = _family(host.architecture)
    kernel = host.read("proc/sys/kernel/arch") or ""
    if ours and _family(kernel) not in ("", ours):
        return f"this is a program for {host.architecture} on a kernel for {kernel}"
    for family, start in _CPUINFO_LINES.items():
        if ours and family != ours and any(line.startswith(start) for line in _cpuinfo(host)):
            return (
                f"this is a program for {host.architecture}, and /proc/cpuinfo tells of an {family} processor"
            )
    if any(line.startswith("vendor_id") and "VirtualApple" in line for line in _cpuinfo(host)):
        return "the processor is Apple's Rosetta"
    # QEMU answers /proc/self itself, but not the other name of the same folder: there it finds itself.
    program = _link_name(host, "proc/thread-self/exe")
    kinds = [_machine_code(host, f"proc/{name}/exe") for name in ("self", "thread-self")]
    if program.startswith("qemu-") or (None not in kinds and kinds[0] != kinds[1]):
        return f"this program is run by {program or 'one for another processor'}"
    return None


def _family(architecture: str) -> str:
    return next((name for name, starts in _FAMILIES.items() if architecture.lower().startswith(starts)), "")


def _machine_code(host: Host, path: str) -> bytes | None:
    """For which instructions a program is: ``e_machine`` of its ELF header; None where that is unreadable."""
    try:
        with (host.root / path).open("rb") as file:
            header = file.read(20)
    except OSError:
        return None
    return header[18:20] if header.startswith(b"\x7fELF") else None


def _cpuinfo(host: Host) -> list[str]:
    return (host.read("proc/cpuinfo") or "").splitlines()


def _clocks(host: Host) -> str:
    return host.read("sys/devices/system/clocksource/clocksource0/available_clocksource") or ""


def _dmi(host: Host, name: str) -> str:
    return host.read(f"sys/class/dmi/id/{name}") or ""


def _link_name(host: Host, path: str) -> str:
    try:
        return os.path.basename(os.readlink(host.root / path))
    except OSError:
        return ""
