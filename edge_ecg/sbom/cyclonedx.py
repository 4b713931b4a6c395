"""The bill of materials as CycloneDX 1.6 JSON (ECMA-424, https://cyclonedx.org/docs/1.6/json/)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..errors import UsageError
from .components import Component
from .inventory import Inventory
from .spdx import licences

SPEC_VERSION = "1.6"
# Variables of the environment that decide which packages are needed.
_TOLD = ("platform_machine", "python_version", "sys_platform")


def document(inventory: Inventory, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the document; the same installation gives the same one, byte for byte.

    It bears no time, unless ``SOURCE_DATE_EPOCH`` (seconds since 1970) is in ``environment``.

    Raises
    ------
    UsageError
        When ``SOURCE_DATE_EPOCH`` is no number of seconds.

    """
    root = inventory.root
    metadata: dict[str, Any] = {
        "component": _entry(root, "application") | {"bom-ref": root.purl},
        "properties": [
            {"name": f"edge-ecg:{name}", "value": inventory.environment[name]}
            for name in _TOLD
            if name in inventory.environment
        ]
        + [{"name": "edge-ecg:extra", "value": extra} for extra in inventory.extras],
    }
    time = _time(environment)
    if time is not None:
        metadata = {"timestamp": time, **metadata}
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": metadata,
        "components": [_package(component) for component in inventory.components],
        "dependencies": [
            {"ref": _reference(one), "dependsOn": sorted(_references(inventory, one.requires))}
            for one in (root, *inventory.components)
        ],
    }


def text(inventory: Inventory, environment: Mapping[str, str]) -> str:
    """Return the document as text that ends in a line end."""
    return json.dumps(document(inventory, environment), indent=2, ensure_ascii=False) + "\n"


def _reference(component: Component) -> str:
    return component.purl or component.name


def _references(inventory: Inventory, names: tuple[str, ...]) -> list[str]:
    return [_reference(one) for one in inventory.components if one.name in names]


def _package(component: Component) -> dict[str, Any]:
    entry = _entry(component, "library") | {"bom-ref": _reference(component)}
    if component.sha256:
        entry["properties"].append({"name": "edge-ecg:record-sha256", "value": component.sha256})
    if component.parts:
        entry["components"] = [
            _part(part, f"{_reference(component)}#{index}") for index, part in enumerate(component.parts)
        ]
    return entry


def _part(part: Component, reference: str) -> dict[str, Any]:
    entry = _entry(part, "library") | {"bom-ref": reference}
    if part.sha256:
        entry["hashes"] = [{"alg": "SHA-256", "content": part.sha256}]
    if part.file:
        entry["properties"].append({"name": "edge-ecg:file", "value": part.file})
    return entry


def _entry(component: Component, kind: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": kind, "name": component.name}
    if component.version:
        entry["version"] = component.version
    if component.licence is not None:
        entry["licenses"] = _licences(component.licence)
    if component.purl:
        entry["purl"] = component.purl
    entry["properties"] = [
        {"name": f"edge-ecg:{name}", "value": value}
        for name, value in (("known-by", component.source), ("licence-note", component.verdict.reason))
        if value
    ]
    return entry


def _licences(expression: str) -> list[dict[str, Any]]:
    try:
        single = licences(expression) == [expression] and " " not in expression
    except ValueError:
        return [{"license": {"name": expression}}]
    if single and not expression.startswith("LicenseRef-"):
        return [{"license": {"id": expression}}]
    return [{"expression": expression}]


def _time(environment: Mapping[str, str]) -> str | None:
    seconds = environment.get("SOURCE_DATE_EPOCH")
    if not seconds:
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f"SOURCE_DATE_EPOCH is {seconds!r}, which is no number of seconds since 1970.",
            remedy="Unset it, or: export SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)",
        ) from error
