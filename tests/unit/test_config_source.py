from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from enos.config.source import read, validate, value_at
from enos.config.yamltree import Position
from enos.errors import ConfigError


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")
    file: str
    times: list[int] = Field(default=[])


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid")
    enabled: bool = True
    items: list[Item] = Field(default=[])


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rally: Section


def written(folder: Path, text: str) -> Path:
    file = folder / "run.yml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_valid_file_becomes_its_model(tmp_path: Path) -> None:
    file = written(tmp_path, "rally:\n  enabled: no\n  items: [{file: a.yml}]\n")
    expected = Whole(rally=Section(enabled=False, items=[Item(file="a.yml")]))
    assert validate(read(file), Whole) == expected


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "rally:\n  items:\n    - file: [x]\n      tims: [a]\n    - times: [b]\n"
    file = written(tmp_path, text + "  enabled: maybe\n  enabled: ${GONE}\nother: 1\n")
    with pytest.raises(ConfigError) as failed:
        validate(read(file, environ={}), Whole)
    assert failed.value.message == f"`{file}` has 7 problems"
    assert failed.value.details.replace(f"{file}:", "").splitlines() == [
        "3:13: `file` must be text, not a list",
        "4:7: unknown key `tims` (did you mean `times`?)",
        "5:7: `file` is missing",
        "5:15: `times[0]` must be a whole number, not `b`",
        "6:12: `enabled` must be `true` or `false`, not `maybe`",
        "7:3: `enabled` is given twice (it is on line 6 as well; keep one of them)",
        "8:1: unknown key `other` (known: `rally`)",
    ]


def test_a_part_of_a_file_can_be_validated_alone(tmp_path: Path) -> None:
    document = read(written(tmp_path, "rally:\n  enabled: no\nother: 1\n"))
    assert validate(document, Section, ("rally",)) == Section(enabled=False)
    assert value_at(document, ("rally", "enabled")) == "no"


def test_a_place_the_file_lacks_is_the_nearest_around_it(tmp_path: Path) -> None:
    document = read(written(tmp_path, "rally:\n  items:\n    - file: a\n"))
    assert document.at(("rally", "items", 0, "file", "function-after")) == Position(
        3, 13
    )
    assert document.at(("rally", "nothing"), key=True) == Position(1, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "is not a text file"),
        (b"", "has 1 problem"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "x.yml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as failed:
        read(file)
    assert str(file) in failed.value.message


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "x.yml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read(file).value == {"a": 1}


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file") as failed:
        read(tmp_path / "gone.yml")
    assert "enos new" in failed.value.hint


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory") as failed:
        read(tmp_path)
    assert failed.value.hint == "name a file that this account may read"
