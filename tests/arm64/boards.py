"""What each Raspberry Pi shows of itself in /proc/cpuinfo and /sys, as far as a program looks.

The runtimes' CPU detection (pytorch/cpuinfo, inside ONNX Runtime and XNNPACK) reads /proc/cpuinfo, the cores'
topology and clocks; edge-ecg reads the device tree, governor, clocks and temperature. The texts are written
after what 64-bit Raspberry Pi OS prints on these boards (the kernel's Documentation/ABI/testing/
sysfs-devices-system-cpu and sysfs-class-thermal; Raspberry Pi's documentation of its revision codes;
the cores' technical reference manuals for MIDR_EL1). None was copied from a board.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CORES = 4
_SERIAL = "10000000deadbeef"


@dataclass(frozen=True, slots=True)
class Board:
    """One model.

    Attributes
    ----------
    name:
        Short, for test ids and the command line.
    model:
        As in the device tree.
    compatible:
        Of the device tree, most particular first.
    cpu:
        QEMU's name of the core.
    features:
        The kernel's names of the instruction sets.
    part, variant, revision:
        Fields of MIDR_EL1.
    revision_code:
        Of the board.
    min_khz, max_khz:
        The range of its clock.

    """

    name: str
    model: str
    compatible: tuple[str, ...]
    cpu: str
    features: str
    part: int
    variant: int
    revision: int
    revision_code: str
    min_khz: int
    max_khz: int

    def files(self) -> dict[str, str]:
        """Return the files by path below the root: proc/cpuinfo and all of /sys."""
        return {
            "proc/cpuinfo": self._cpuinfo(),
            "sys/firmware/devicetree/base/model": self.model + "\0",
            "sys/firmware/devicetree/base/compatible": "\0".join(self.compatible) + "\0",
            "sys/firmware/devicetree/base/serial-number": f"{_SERIAL}\0",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "48312\n",
            "sys/block/mmcblk0/device/name": "SC32G\n",
            **self._cpu_files(),
        }

    def lay_down(self, folder: Path) -> Path:
        """Write the files below a folder and return it."""
        for name, text in self.files().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return folder

    def _cpuinfo(self) -> str:
        core = (
            "processor\t: {number}\n"
            "BogoMIPS\t: {bogomips}\n"
            f"Features\t: {self.features}\n"
            "CPU implementer\t: 0x41\n"
            "CPU architecture: 8\n"
            f"CPU variant\t: 0x{self.variant:x}\n"
            f"CPU part\t: 0x{self.part:x}\n"
            f"CPU revision\t: {self.revision}\n\n"
        )
        bogomips = "38.40" if "brcm,bcm2837" in self.compatible else "108.00"
        cores = "".join(core.format(number=number, bogomips=bogomips) for number in range(CORES))
        return f"{cores}Revision\t: {self.revision_code}\nSerial\t\t: {_SERIAL}\nModel\t\t: {self.model}\n"

    def _cpu_files(self) -> dict[str, str]:
        everyone = f"0-{CORES - 1}\n"
        base = "sys/devices/system/cpu"
        midr = 0x41 << 24 | self.variant << 20 | 0xF << 16 | self.part << 4 | self.revision
        files = {f"{base}/{name}": everyone for name in ("possible", "present", "online")} | {
            f"{base}/kernel_max": "255\n",
            f"{base}/offline": "\n",
            f"{base}/isolated": "\n",
        }
        mask = f"{(1 << CORES) - 1:x}\n"
        for number in range(CORES):
            own, own_mask = f"{number}\n", f"{1 << number:x}\n"
            files |= {
                f"{base}/cpu{number}/{name}": text
                for name, text in {
                    "online": "1\n",
                    "regs/identification/midr_el1": f"0x{midr:016x}\n",
                    "topology/core_id": own,
                    "topology/physical_package_id": "0\n",
                    "topology/cluster_id": "0\n",
                    "topology/core_siblings": mask,
                    "topology/core_siblings_list": everyone,
                    "topology/package_cpus": mask,
                    "topology/package_cpus_list": everyone,
                    "topology/cluster_cpus": mask,
                    "topology/cluster_cpus_list": everyone,
                    "topology/core_cpus": own_mask,
                    "topology/core_cpus_list": own,
                    "topology/thread_siblings": own_mask,
                    "topology/thread_siblings_list": own,
                    "cpufreq/cpuinfo_min_freq": f"{self.min_khz}\n",
                    "cpufreq/cpuinfo_max_freq": f"{self.max_khz}\n",
                    "cpufreq/scaling_min_freq": f"{self.min_khz}\n",
                    "cpufreq/scaling_max_freq": f"{self.max_khz}\n",
                    "cpufreq/scaling_cur_freq": f"{self.min_khz}\n",
                    "cpufreq/scaling_governor": "ondemand\n",
                    "cpufreq/scaling_available_governors": (
                        "conservative ondemand userspace powersave performance schedutil\n"
                    ),
                    "cpufreq/related_cpus": " ".join(map(str, range(CORES))) + "\n",
                }.items()
            }
        return files


_V8 = "fp asimd evtstrm crc32 cpuid"
_V8_2 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"

BOARDS = {
    board.name: board
    for board in (
        Board(
            "zero2w", "Raspberry Pi Zero 2 W Rev 1.0", ("raspberrypi,model-zero-2-w", "brcm,bcm2837"),
            "cortex-a53", _V8, 0xD03, 0, 4, "902120", 600_000, 1_000_000,
        ),
        Board(
            "pi3", "Raspberry Pi 3 Model B Rev 1.2", ("raspberrypi,3-model-b", "brcm,bcm2837"),
            "cortex-a53", _V8, 0xD03, 0, 4, "a02082", 600_000, 1_200_000,
        ),
        Board(
            "pi4", "Raspberry Pi 4 Model B Rev 1.5", ("raspberrypi,4-model-b", "brcm,bcm2711"),
            "cortex-a72", _V8, 0xD08, 0, 3, "c03115", 600_000, 1_800_000,
        ),
        Board(
            "pi5", "Raspberry Pi 5 Model B Rev 1.0", ("raspberrypi,5-model-b", "brcm,bcm2712"),
            "cortex-a76", _V8_2, 0xD0B, 4, 1, "c04170", 1_500_000, 2_400_000,
        ),
    )
}  # fmt: skip
