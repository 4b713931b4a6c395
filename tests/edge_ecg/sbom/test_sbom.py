"""The bill of materials: of packages made by hand, of this installation, and by the official schema."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

from edge_ecg.cli import main
from edge_ecg.errors import UsageError
from edge_ecg.sbom import Component, Inventory, Verdict, judge, take_inventory, walk
from edge_ecg.sbom.cyclonedx import text

PI = {
    "python_version": "3.11", "platform_machine": "aarch64", "sys_platform": "linux", "os_name": "posix",
    "python_full_version": "3.11.2", "platform_python_implementation": "CPython",
}  # fmt: skip


class Site:
    """A folder of installed packages, made by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self, name: str, *lines: str, version: str = "1.0", files: dict[str, bytes] | None = None
    ) -> None:
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        metadata = [f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}", *lines, ""]
        files = {f"{info}/METADATA": "\n".join(metadata).encode(), **(files or {})}
        rows = []
        for path, data in files.items():
            path = path.replace("INFO", info)
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append(f"{path},sha256={digest},{len(data)}")
        (self.folder / info / "RECORD").write_text("\n".join([*rows, f"{info}/RECORD,,"]) + "\n")

    def find(self, name: str) -> Distribution:
        found = next(iter(Distribution.discover(name=name, path=[str(self.folder)])), None)
        if found is None:
            raise PackageNotFoundError(name)
        return found

    def inventory(self) -> Inventory:
        return take_inventory(self.find, PI)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.add(
        "edge-ecg",
        "License-Expression: Apache-2.0",
        "Requires-Dist: NumPy>=1.24",
        "Requires-Dist: bleak>=3; platform_machine != 'armv7l'",
        "Requires-Dist: winonly; sys_platform == 'win32'",
        "Provides-Extra: lsl",
        "Requires-Dist: pylsl>=1.18; extra == 'lsl'",
        "Provides-Extra: onnx",
        "Requires-Dist: onnxruntime; extra == 'onnx'",
        "Provides-Extra: train",
        "Requires-Dist: torch; extra == 'train'",
    )
    site.add(
        "numpy", "License-Expression: BSD-3-Clause AND Zlib", files={"numpy.libs/libgfortran-0.so.5": b"x"}
    )
    site.add("bleak", "License: MIT", "Requires-Dist: dbus_fast[fast]; sys_platform == 'linux'")
    site.add(
        "dbus-fast",
        "Classifier: License :: OSI Approved :: MIT License",
        "Provides-Extra: fast",
        "Requires-Dist: speedups; extra == 'fast'",
        "Requires-Dist: sphinx; extra == 'docs'",
    )
    site.add("speedups", "License: Apache 2.0", "Requires-Dist: bleak")  # a circle
    site.add("torch", "License: BSD-3-Clause")
    site.add("sphinx", "License: BSD-2-Clause")
    return site


def names(inventory: Inventory) -> list[str]:
    return [component.name for component in inventory.components]


def test_the_closure_is_what_is_needed_here_and_no_more(site: Site) -> None:
    inventory = site.inventory()
    assert names(inventory) == ["bleak", "dbus-fast", "numpy", "speedups"]
    assert inventory.extras == ()
    assert inventory.refused == []
    assert inventory.root.requires == ("bleak", "numpy")
    assert {one.name: one.licence for one in inventory.components} == {
        "bleak": "MIT", "dbus-fast": "MIT", "numpy": "BSD-3-Clause AND Zlib", "speedups": "Apache-2.0",
    }  # fmt: skip
    # An extra counts when all that it adds is there; the workstation's never do.
    site.add("pylsl", "License: MIT")
    assert site.inventory().extras == ("lsl",)
    assert "pylsl" in names(site.inventory())


def test_a_shared_library_has_its_hash_and_an_unknown_one_is_refused(site: Site) -> None:
    (part,) = next(one for one in site.inventory().components if one.name == "numpy").parts
    assert (part.name, part.licence) == ("libgfortran", "GPL-3.0-or-later WITH GCC-exception-3.1")
    assert part.sha256 == hashlib.sha256(b"x").hexdigest()
    site.add(
        "speedups", "License: MIT", files={"speedups.libs/libmystery-1.so.2": b"y", "speedups/_c.so": b"z"}
    )
    ((refused, within),) = site.inventory().refused
    assert within is not None
    assert (refused.name, within.name) == ("libmystery-1.so.2", "speedups")


def test_what_a_wheel_lists_itself_is_judged_too(site: Site) -> None:
    listed = {
        "bomFormat": "CycloneDX",
        "components": [
            {"name": "speedups", "purl": "pkg:pypi/speedups@1.0?file_name=x.whl"},
            {"name": "choice", "version": "1", "licenses": [{"expression": "GPL-2.0-only OR MIT"}]},
            {
                "name": "both",
                "version": "1",
                "licenses": [{"license": {"id": "MIT"}}, {"license": {"id": "ISC"}}],
            },
            {"name": "openssl", "version": "3.5", "purl": "pkg:generic/openssl@3.5?download_url=file://x"},
            {"name": "nothing", "version": "2"},
            {"name": "viral", "version": "3", "licenses": [{"license": {"id": "GPL-3.0-only"}}]},
        ],
    }
    files = {"INFO/sboms/a.cdx.json": json.dumps(listed).encode(), "INFO/sboms/b.json": b"{not json"}
    site.add("speedups", "License: MIT", files=files)
    inventory = site.inventory()
    parts = {
        part.name: part for part, within in walk(inventory.components) if within and within.name == "speedups"
    }
    assert {name: part.licence for name, part in parts.items()} == {
        "both": "MIT AND ISC", "choice": "GPL-2.0-only OR MIT", "nothing": None, "openssl": "Apache-2.0",
        "viral": "GPL-3.0-only", "what b.json lists": None,
    }  # fmt: skip
    assert {one.name for one, _ in inventory.refused} == {"nothing", "viral", "what b.json lists"}
    assert parts["openssl"].purl == "pkg:generic/openssl@3.5"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["License-Expression: MIT-0"], "MIT-0"),
        (["License: BSD", "Classifier: License :: OSI Approved :: BSD License"], None),
        (["License: GPL"], None),
        (["License: MIT OR BSD"], None),
        (["License: MPL-2.0 AND MIT"], "MPL-2.0 AND MIT"),
        (["License: 3-Clause BSD License"], "BSD-3-Clause"),
        (["License: Permission is hereby granted, free of charge, to any person"], None),
        (["Classifier: License :: OSI Approved :: ISC License (ISCL)"], "ISC"),
        (["Classifier: License :: OSI Approved"], None),
        (
            [
                "Classifier: License :: OSI Approved :: MIT License",
                "Classifier: License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)",
            ],
            "MIT AND MPL-2.0",
        ),
        (
            [
                "Classifier: License :: OSI Approved :: MIT License",
                "Classifier: License :: Other/Proprietary License",
            ],
            None,
        ),
        ([], None),
    ],
)
def test_what_a_package_declares(site: Site, lines: list[str], expected: str | None) -> None:
    site.add("speedups", *lines)
    found = next(one for one in site.inventory().components if one.name == "speedups")
    assert found.licence == expected
    assert found.verdict.accepted == (expected is not None and "MPL" not in expected)


@pytest.mark.parametrize(
    ("name", "licence", "accepted"),
    [
        ("any", "MIT", True),
        ("any", "GPL-3.0-only", False),
        ("any", "GPL-3.0-only OR MIT", True),
        ("any", "GPL-3.0-only AND MIT", False),
        ("any", "LGPL-2.1-or-later", False),
        ("any", "Apache-2.0 WITH LLVM-exception", True),
        ("any", "GPL-3.0-or-later WITH GCC-exception-3.1", False),
        ("any", "Proprietary", False),
        ("any", "see LICENSE", False),
        ("any", None, False),
        # The same licence is tolerated in one place and not in another.
        ("any", "MPL-2.0", False),
        ("tqdm", "MPL-2.0 AND MIT", True),
        ("libquadmath", "LGPL-2.1-or-later", True),
    ],
)
def test_the_policy(name: str, licence: str | None, accepted: bool) -> None:
    verdict = judge(name, licence)
    assert verdict.accepted == accepted
    # Whatever is not plainly permissive comes with its reason.
    assert bool(verdict.reason) == (not accepted or name != "any")


def test_what_is_missing_is_refused_and_edge_ecg_must_be_a_package(site: Site) -> None:
    site.add("bleak", "License: MIT", "Requires-Dist: absent")
    ((refused, _),) = site.inventory().refused
    assert (refused.name, refused.verdict) == (
        "absent",
        Verdict(False, "it is needed here and not installed"),
    )
    with pytest.raises(UsageError, match="not installed as a package"):
        take_inventory(Site(site.folder / "empty").find, PI)


def test_the_document_is_the_same_each_time_and_bears_a_time_only_if_given(site: Site) -> None:
    plain = text(site.inventory(), {})
    assert plain == text(site.inventory(), {})
    assert "timestamp" not in plain
    assert str(site.folder) not in plain
    stamped = json.loads(text(site.inventory(), {"SOURCE_DATE_EPOCH": "1767225600"}))
    assert stamped["metadata"].pop("timestamp") == "2026-01-01T00:00:00Z"
    assert stamped == json.loads(plain)
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        text(site.inventory(), {"SOURCE_DATE_EPOCH": "today"})
    graph = {entry["ref"]: entry["dependsOn"] for entry in stamped["dependencies"]}
    assert graph["pkg:pypi/edge-ecg@1.0"] == ["pkg:pypi/bleak@1.0", "pkg:pypi/numpy@1.0"]
    assert graph["pkg:pypi/dbus-fast@1.0"] == ["pkg:pypi/speedups@1.0"]


def test_the_document_fits_the_official_schema(site: Site) -> None:
    """The schema of the OWASP foundation, as cyclonedx-python-lib carries it."""
    pytest.importorskip("jsonschema", reason="jsonschema checks the document")
    pytest.importorskip("cyclonedx", reason="cyclonedx-python-lib carries the schema")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion.V1_6)
    site.add("speedups", "License: whatever", files={"INFO/sboms/b.json": b"{not json"})
    for inventory in (site.inventory(), take_inventory()):
        made = text(inventory, {"SOURCE_DATE_EPOCH": "0"})
        assert validator.validate_str(made) is None
        # The check itself: what is wrong is found.
        assert validator.validate_str(made.replace('"type": "library"', '"type": "thing"')) is not None


def test_purls_and_expressions_are_what_other_programs_read(site: Site) -> None:
    purl = pytest.importorskip("packageurl", reason="packageurl-python reads package URLs").PackageURL
    spdx = pytest.importorskip(
        "license_expression", reason="license-expression reads SPDX"
    ).get_spdx_licensing()
    for component, _ in walk(take_inventory().components):
        if component.purl.startswith("pkg:pypi/"):
            read = purl.from_string(component.purl)
            assert (read.type, read.name, read.version) == ("pypi", component.name, component.version)
        assert component.licence is not None
        if "LicenseRef" not in component.licence:
            assert not spdx.validate(component.licence).errors, component.licence


def test_every_package_that_edge_ecg_imports_is_listed_and_accepted() -> None:
    inventory = take_inventory()
    assert inventory.refused == []
    assert {"numpy", "pyserial", "bleak", "samplerate", "rich"} <= set(names(inventory))
    for component in inventory.components:
        assert component.version == distribution(component.name).version
    assert not {"pytest", "torch", "hypothesis"} & set(names(inventory))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sbom"]) == 0
    assert re.search(r"^numpy \S+ +BSD-3-Clause", capsys.readouterr().out, re.MULTILINE)
    assert main(["sbom", "--format", "markdown"]) == 0
    assert "| rich | " in capsys.readouterr().out
    assert main(["sbom", "--format", "cyclonedx", "-o", str(tmp_path / "a.json"), "--json"]) == 0
    *lines, total = map(json.loads, capsys.readouterr().out.splitlines())
    assert total["type"] == "sbom"
    assert total["packages"] == len([line for line in lines if line["within"] is None])
    assert json.loads((tmp_path / "a.json").read_text())["bomFormat"] == "CycloneDX"
    assert main(["sbom", "-o", str(tmp_path / "no" / "a.json")]) == 5


def test_the_gate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    bad = Component("left-pad", "1", "GPL-3.0-only", judge("left-pad", "GPL-3.0-only"))
    root = Component("edge-ecg", "0", "Apache-2.0", Verdict(True), purl="pkg:pypi/edge-ecg@0")
    monkeypatch.setattr("edge_ecg.cli.sbom.take_inventory", lambda: Inventory(root, (bad,), (), {}))
    assert main(["sbom"]) == 6
    out, err = capsys.readouterr()
    assert "left-pad 1  GPL-3.0-only *" in out
    assert "left-pad is NOT ACCEPTED" in out
    assert "left-pad: GPL-3.0-only is not among the permissive licences" in err
    assert main(["sbom", "--json"]) == 6
    assert json.loads(capsys.readouterr().out.splitlines()[0])["accepted"] is False


def test_it_says_the_same_in_another_process() -> None:
    command = [sys.executable, "-m", "edge_ecg", "sbom", "--format", "cyclonedx"]
    runs = [
        subprocess.run(
            command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


def test_the_page_lists_every_package(request: pytest.FixtureRequest) -> None:
    """docs/licences.md is made by the command; versions move on, packages must not be missing."""
    page = (request.config.rootpath / "docs" / "licences.md").read_text()
    rows: dict[str, Any] = dict(re.findall(r"^\| ([a-z0-9-]+) \| [^|]+ \| ([^|]+?) \|", page, re.MULTILINE))
    for component in take_inventory().components:
        assert component.name in rows, f"docs/licences.md lacks {component.name}; make its table again"
        assert component.licence is not None
        assert rows[component.name].removesuffix(" *") == component.licence
