"""What the samples of `enos new` offer behind a comment sign can be uncommented."""

import re
from pathlib import Path

import pytest

from enos import plugins
from enos.config.experiment import load_experiment

OFFERED = re.compile(r"^( *)# ( *(?:- [\w ]+|\w+):(?! `))", re.MULTILINE)


@pytest.mark.parametrize("provider", ["local", "static"])
def test_every_line_a_sample_offers_can_be_uncommented(
    provider: str, tmp_path: Path
) -> None:
    text, offered = OFFERED.subn(r"\1\2", plugins.provider(provider).sample)
    file = tmp_path / "sample.yml"
    file.write_text(text, encoding="utf-8")

    found = load_experiment(file, providers=plugins.providers(), environ={})

    assert offered >= 6
    assert found.release == "2025.2"
    assert found.kolla == {"enable_heat": "yes"}
    assert found.warnings == ()
