"""What ``edge-ecg export`` refuses before it computes anything."""

from __future__ import annotations

import pytest

from edge_ecg.cli import main


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-o", "my model.ecgb"), "A model cannot be called 'my model'"),
        (("-o", "m.ecgb", "--name", "../m"), "A model cannot be called '../m'"),
        (("-o", "m.ecgb", "--name", "m" * 65), "A model cannot be called"),
        (("-o", "m.ecgb", "--model-version", "newest"), "'newest' is no version"),
        (("-o", "m.ecgb", "--model-version", "1.2"), "'1.2' is no version"),
    ],
)
def test_names_and_versions_that_a_device_could_not_use(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "no such run", *arguments]) == 2
    assert sentence in capsys.readouterr().err
