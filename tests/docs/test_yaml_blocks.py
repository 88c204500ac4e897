"""Every YAML example in the documentation is read by what would read it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from enos import plugins
from enos.bench.workload import WorkloadFile
from enos.config.experiment import load_experiment
from enos.config.source import read, validate

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```yaml\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> Iterator[tuple[str, str]]:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text[: match.start()].count("\n") + 1
            yield f"{page.relative_to(ROOT)}:{line}", match["text"]


EXAMPLES = dict(blocks())


@pytest.mark.parametrize("place", EXAMPLES)
def test_an_example_is_a_valid_experiment_or_workload(
    place: str, tmp_path: Path
) -> None:
    file = tmp_path / "example.yml"
    file.write_text(EXAMPLES[place], encoding="utf-8")
    document = read(file, environ={})
    if set(document.value) <= set(WorkloadFile.model_fields):
        workload = validate(document, WorkloadFile)
        assert workload.rally.scenarios or workload.shaker.enabled
        return
    found = load_experiment(file, providers=plugins.providers(), environ={})
    assert found.demand.number > 0
    assert found.warnings == ()


def test_the_documentation_has_examples() -> None:
    assert len(EXAMPLES) >= 10
