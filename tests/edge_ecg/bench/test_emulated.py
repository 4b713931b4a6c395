"""Emulated or not, told from the files of machines that were seen (or whose files are documented)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_ecg.bench.emulated import emulated, virtual_machine
from edge_ecg.health import Host

X86_CPU = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R)\nflags\t\t: fpu sse2{}\n"
PI4_CPU = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\nModel\t\t: Raspberry Pi 4 Model B\n"
PI_TREE = {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0", "proc/device-tree/compatible":
           "raspberrypi,4-model-b\0brcm,bcm2711\0"}  # fmt: skip
CLOCKS = "sys/devices/system/clocksource/clocksource0/available_clocksource"

Files = dict[str, str]

# architecture, files, a word of the reason (None: not emulated), the hypervisor
MACHINES: dict[str, tuple[str, Files, str | None, str | None]] = {
    "Pi 4": (
        "aarch64",
        {**PI_TREE, "proc/cpuinfo": PI4_CPU, "proc/sys/kernel/arch": "aarch64\n",
         CLOCKS: "arch_sys_counter\n",
         "sys/block/mmcblk0/device/name": "SD32G\n"},
        None, None,
    ),
    "Pi 4, 32-bit programs": (
        "armv7l", {**PI_TREE, "proc/cpuinfo": PI4_CPU, "proc/sys/kernel/arch": "aarch64\n"}, None, None,
    ),
    "PC": ("x86_64", {"proc/cpuinfo": X86_CPU.format(""), CLOCKS: "tsc hpet acpi_pm\n"}, None, None),
    "32-bit on a PC": (
        "i686", {"proc/cpuinfo": X86_CPU.format(""), "proc/sys/kernel/arch": "x86_64\n"}, None, None,
    ),
    "KVM": (
        "x86_64",
        {"proc/cpuinfo": X86_CPU.format(" hypervisor"), CLOCKS: "kvm-clock tsc acpi_pm\n",
         "sys/class/dmi/id/sys_vendor": "QEMU\n",
         "sys/class/dmi/id/product_name": "Standard PC (Q35 + ICH9, 2009)\n"},
        None, "KVM",
    ),
    "Hyper-V": (
        "x86_64",
        {"proc/cpuinfo": X86_CPU.format(" hypervisor"), CLOCKS: "hyperv_clocksource_tsc_page acpi_pm\n",
         "sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n"},
        None, "Hyper-V",
    ),
    "Xen": ("x86_64", {"proc/cpuinfo": X86_CPU.format(""), "sys/hypervisor/type": "xen\n"}, None, "Xen"),
    "some hypervisor": ("x86_64", {"proc/cpuinfo": X86_CPU.format(" hypervisor")}, None, "a hypervisor"),
    "KVM on ARM with UEFI": (
        "aarch64",
        {"sys/class/dmi/id/sys_vendor": "QEMU\n", "sys/class/dmi/id/product_name": "KVM Virtual Machine\n"},
        None, "a hypervisor",
    ),
    "-M virt": (
        "aarch64", {"proc/device-tree/compatible": "linux,dummy-virt\0", "proc/cpuinfo": PI4_CPU},
        "dummy-virt", None,
    ),
    "-M virt with UEFI": (
        "aarch64",
        {"sys/class/dmi/id/sys_vendor": "QEMU\n", "sys/class/dmi/id/product_name": "QEMU Virtual Machine\n"},
        "QEMU Virtual Machine", None,
    ),
    "-M raspi3b, SD card": (
        "aarch64",
        {**PI_TREE, "proc/cpuinfo": PI4_CPU, "sys/block/mmcblk0/device/name": "QEMU!\n"}, "SD card", None,
    ),
    "-M raspi3b, USB network": (
        "aarch64",
        {**PI_TREE, "proc/cpuinfo": PI4_CPU, "sys/bus/usb/devices/1-1/manufacturer": "QEMU\n"}, "USB", None,
    ),
    "QEMU without KVM, default CPU": (
        "x86_64",
        {"proc/cpuinfo": X86_CPU.format(" hypervisor"), CLOCKS: "tsc hpet acpi_pm\n",
         "sys/class/dmi/id/sys_vendor": "QEMU\n"},
        "no hypervisor", None,
    ),
    "QEMU without KVM, all that it can": (
        "x86_64", {"proc/cpuinfo": "vendor_id\t: AuthenticAMD\nmodel name\t: QEMU TCG CPU version 2.5+\n"},
        "TCG", None,
    ),
    "qemu-user": ("aarch64", {"proc/cpuinfo": X86_CPU.format("")}, "x86 processor", None),
    "qemu-user with a Pi's files": (
        "aarch64", {**PI_TREE, "proc/cpuinfo": PI4_CPU, "proc/sys/kernel/arch": "x86_64\n"},
        "kernel for x86_64", None,
    ),
    "FEX, box64": (
        "x86_64", {"proc/cpuinfo": X86_CPU.format(""), "proc/sys/kernel/arch": "aarch64\n"},
        "kernel for aarch64", None,
    ),
    "x86 program, ARM cpuinfo": ("x86_64", {"proc/cpuinfo": PI4_CPU}, "ARM processor", None),
    "Rosetta": (
        "x86_64", {"proc/cpuinfo": "vendor_id\t: VirtualApple\nmodel name\t: VirtualApple @ 2.50GHz\n"},
        "Rosetta", None,
    ),
    "nothing to read": ("x86_64", {}, None, None),
    "another processor": ("riscv64", {"proc/sys/kernel/arch": "riscv64\n"}, None, None),
}  # fmt: skip


def machine(root: Path, architecture: str, files: Files) -> Host:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Host(root=root, architecture=architecture)


@pytest.mark.parametrize("name", list(MACHINES))
def test_machines(name: str, tmp_path: Path) -> None:
    architecture, files, reason, hypervisor = MACHINES[name]
    host = machine(tmp_path, architecture, files)
    found = emulated(host)
    assert (found is None) is (reason is None), found
    assert reason is None or reason in (found or "")
    assert virtual_machine(host) == hypervisor


@pytest.mark.parametrize(("program", "by"), [("qemu-aarch64-static", True), ("python3.11", False)])
def test_the_other_name_of_the_own_folder_betrays_qemu(tmp_path: Path, program: str, *, by: bool) -> None:
    host = machine(tmp_path, "aarch64", {**PI_TREE, "proc/cpuinfo": PI4_CPU})
    folder = tmp_path / "proc" / "thread-self"
    folder.mkdir()
    (folder / "exe").symlink_to(f"/usr/bin/{program}")
    assert emulated(host) == (f"this program is run by {program}" if by else None)


@pytest.mark.parametrize(("running", "by"), [(62, True), (183, False)])
def test_the_program_that_really_runs_is_for_another_processor(
    tmp_path: Path, running: int, *, by: bool
) -> None:
    """As under proot, whose own name does not tell."""
    host = machine(tmp_path, "aarch64", {**PI_TREE, "proc/cpuinfo": PI4_CPU})
    for name, code in (("self", 183), ("thread-self", running)):
        (tmp_path / "proc" / name).mkdir()
        (tmp_path / "proc" / name / "exe").write_bytes(
            b"\x7fELF" + bytes(14) + code.to_bytes(2, "little") + b"..."
        )
    assert (emulated(host) is not None) is by


@pytest.mark.skipif(shutil.which("qemu-x86_64-static") is None, reason="qemu-user-static is not installed")
@pytest.mark.skipif(sys.platform != "linux", reason="QEMU's user mode is Linux's")
def test_a_program_really_run_by_qemu_is_seen_even_on_a_kernel_of_its_own_kind() -> None:
    code = "from edge_ecg.bench.emulated import emulated; print(emulated())"
    done = subprocess.run(
        ["qemu-x86_64-static", sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "qemu" in done.stdout
