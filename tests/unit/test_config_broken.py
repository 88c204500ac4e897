from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from enos.config.experiment import load_experiment
from enos.errors import ConfigError
from enos.provider import Provider

FILES = Path(__file__).parents[1] / "golden" / "broken"
NAMES = sorted(file.stem for file in FILES.glob("*.yml"))


def said(error: ConfigError) -> str:
    lines = [f"error: {error.message}", *error.details.splitlines()]
    hint = f"hint: {error.hint}\n" if error.hint else ""
    return "\n  ".join(lines) + "\n" + hint


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_file_is_explained(
    name: str,
    providers: Mapping[str, type[Provider]],
    golden: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(FILES)
    with pytest.raises(ConfigError) as failed:
        load_experiment(Path(f"{name}.yml"), providers=providers, environ={})
    golden(f"broken/{name}.txt", said(failed.value))


def test_there_are_many_kinds_of_broken_files() -> None:
    assert len(NAMES) >= 35


def test_no_golden_message_is_left_without_its_file() -> None:
    assert sorted(file.stem for file in FILES.glob("*.txt")) == NAMES


def test_every_message_names_the_place() -> None:
    for name in NAMES:
        message = (FILES / f"{name}.txt").read_text(encoding="utf-8")
        assert f"{name}.yml:" in message
