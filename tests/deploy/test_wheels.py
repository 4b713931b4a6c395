"""What a runtime is made of: fixed versions, the hashes of their wheels, wheels' names, our own wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.deploy.remote.pins import normalised, parse_hashes, parse_pins, pins, published, with_hashes
from edge_ecg.deploy.remote.runtime import _script
from edge_ecg.deploy.remote.wheel import build_wheel
from edge_ecg.deploy.remote.wheelhouse import SYSTEMS, Target, fill, pick
from edge_ecg.errors import DataError

from .published import published as published_by_pypi

BOOKWORM = SYSTEMS["bookworm"]


def test_pins_are_fixed_and_never_the_one_that_dies_on_a_pi_4() -> None:
    both = pins("both")
    assert set(pins()) < set(both)
    assert any(one.startswith("onnxruntime==") for one in both)
    assert "onnxruntime==1.21.0" not in both
    assert not any("torch" in one or "scipy" in one for one in both)


@pytest.mark.parametrize(
    "line", ["numpy>=1", "numpy", "-r other", "--index-url http://x", "numpy==1 ; x", "a==1 b==2"]
)
def test_a_line_that_fixes_no_version(line: str) -> None:
    with pytest.raises(DataError):
        parse_pins(f"# head\n\n{line}\n", "pins.txt")


@pytest.mark.parametrize(
    "line", ["", "00  a-1-py3-none-any.whl", f"{'0' * 64} a-1-py3-none-any.whl", f"{'0' * 64}  a.tar.gz"]
)
def test_a_line_that_is_no_hash_of_a_wheel(line: str) -> None:
    with pytest.raises(DataError, match=r"Line 2 of x is no SHA-256"):
        parse_hashes(f"{'0' * 64}  a-1-py3-none-any.whl\n{line}\n", "x")


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_every_pin_has_its_wheels_hash_for_every_device(minor: int, machine: str) -> None:
    target = Target((3, minor), machine, (2, 36))
    for requirement in pins("both"):
        name, version = requirement.split("==")
        wheels = [
            wheel
            for wheel in published()
            if wheel.lower().startswith(f"{normalised(name)}-{version}-") and target.accepts(wheel)
        ]
        assert wheels, f"python -m tests.deploy.published makes the list anew for {requirement}"
        line = with_hashes(requirement).split()
        assert line[0] == requirement
        assert {f"--hash=sha256:{published()[wheel]}" for wheel in wheels} <= set(line[1:])


def test_a_wheel_of_the_right_name_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyserial-3.5-py2.py3-none-any.whl").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"pyserial-3\.5.* is not the file that PyPI published"):
        fill(tmp_path, ["pyserial==3.5"], BOOKWORM)


@pytest.mark.slow
def test_the_hashes_are_those_of_pypi() -> None:
    try:
        there = published_by_pypi(pins("both"))
    except OSError as error:
        pytest.skip(f"PyPI is out of reach: {error}")
    assert there == published()


@pytest.mark.parametrize(
    ("wheel", "fits"),
    [
        ("numpy-2.4.6-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl", True),
        ("numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.whl", False),
        ("numpy-2.4.6-cp312-cp312-manylinux_2_27_aarch64.whl", False),
        ("numpy-2.4.6-cp311-cp311-manylinux_2_39_aarch64.whl", False),
        ("numpy-2.4.6-cp311-cp311-musllinux_1_2_aarch64.whl", False),
        ("numpy-2.4.6-cp311-cp311t-manylinux_2_27_aarch64.whl", False),
        ("cryptography-50.0.2-cp311-abi3-manylinux2014_aarch64.manylinux_2_17_aarch64.whl", True),
        ("cryptography-50.0.2-cp312-abi3-manylinux2014_aarch64.whl", False),
        ("protobuf-7.36.2-cp310-abi3-manylinux2014_aarch64.whl", True),
        ("pyserial-3.5-py2.py3-none-any.whl", True),
        ("rich-15.0.0-py3-none-any.whl", True),
        ("future-1-py312-none-any.whl", False),
        ("x-1-1build-py3-none-any.whl", True),
        ("x-1-py3-none-linux_aarch64.whl", True),
        ("x-1-py3-none-win_amd64.whl", False),
        ("x-1.tar.gz", False),
        ("x.whl", False),
    ],
)
def test_which_wheels_a_bookworm_pi_takes(wheel: str, fits: bool) -> None:
    assert BOOKWORM.accepts(wheel) is fits


@given(st.text(max_size=40), st.sampled_from(["", ".whl"]))
def test_any_file_name_is_a_wheel_or_none(name: str, end: str) -> None:
    assert BOOKWORM.accepts(name + end) in {True, False}


def test_pip_accepts_what_we_accept() -> None:
    """Against pip's own idea of this machine's tags: for every wheel of the pins that is installed here."""
    from pip._vendor.packaging.tags import sys_tags
    from pip._vendor.packaging.utils import parse_wheel_filename

    version, glibc = (sys.version_info[0], sys.version_info[1]), (2, 36)
    here = Target(version, "x86_64", glibc)
    ours = set(sys_tags())
    tag = f"cp{version[0]}{version[1]}"
    for python in (tag, "cp39", "cp314", "py3", "py2.py3", "py310"):
        for abi in (tag, "abi3", "none"):
            for platform in (
                "any",
                "manylinux_2_17_x86_64",
                "manylinux2014_x86_64",
                "manylinux_2_17_aarch64",
            ):
                name = f"x-1-{python}-{abi}-{platform}.whl"
                if abi == "none" and (platform != "any" or python.startswith("cp")):
                    continue
                if (python.startswith("py") and abi != "none") or (abi != "none" and platform == "any"):
                    continue  # nobody builds such
                accepted = bool(parse_wheel_filename(name)[3] & ours)
                assert here.accepts(name) is accepted, name


def test_missing_wheels_are_named(tmp_path: Path) -> None:
    (tmp_path / "backports_strenum-1.2.8-py3-none-any.whl").touch()
    (tmp_path / "numpy-2.4.6-cp313-cp313-manylinux_2_27_aarch64.whl").touch()
    found, missing = pick(tmp_path, ["backports.strenum==1.2.8", "numpy==2.4.6"], BOOKWORM)
    assert [path.name for path in found] == ["backports_strenum-1.2.8-py3-none-any.whl"]
    assert missing == ["numpy==2.4.6"]


def test_the_wheel_is_the_same_each_time_and_holds_the_runtime_alone(tmp_path: Path) -> None:
    data = build_wheel()
    assert data == build_wheel.__wrapped__()
    path = tmp_path / "edge_ecg-0-py3-none-any.whl"
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
    assert {name.split("/")[0].split("-")[0] for name in names} == {"edge_ecg", "edge_ecg_bridge"}
    assert "edge_ecg/deploy/edge-ecg-start.sh" in names
    assert "edge_ecg/deploy/remote/probe.sh" in names
    assert not any(name.endswith(".pyc") for name in names)
    # It runs from where it lies, without the checkout.
    code = "import edge_ecg, edge_ecg.cli; print(edge_ecg.__file__)"
    argv = [sys.executable, "-c", code]
    told = subprocess.run(
        argv, env={"PYTHONPATH": str(path)}, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert str(path) in told.stdout


@pytest.mark.slow
def test_a_device_takes_no_package_but_the_published_one(tmp_path: Path, wheelhouse: Path) -> None:
    """The script that runs there, from a folder in which a wheel of the right name holds something more."""
    folder = tmp_path / "wheels here"
    folder.mkdir()
    wheel = next(wheelhouse.glob("pyserial-*.whl"))
    (folder / wheel.name).write_bytes(wheel.read_bytes())
    with zipfile.ZipFile(folder / wheel.name, "a") as archive:
        archive.writestr("serial/more.py", "")
    script = _script(
        root=str(tmp_path / "root"), rid="r", python=sys.executable, about="{}", find=str(folder),
        requirements=with_hashes("pyserial==3.5"),
    )  # fmt: skip
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 77
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / "root/runtimes/r/.complete").exists()
