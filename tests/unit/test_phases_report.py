"""A page that cannot be written is an error of its own, whatever refused it."""

from pathlib import Path

import pytest

from enos.errors import StateError
from enos.phases import report


@pytest.mark.parametrize("name", ["folder", "file/below.html", "/proc/report.html"])
def test_a_place_that_takes_no_page_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    place = tmp_path / name

    with pytest.raises(StateError) as refused:
        report.write("<html></html>", place)

    assert refused.value.message.startswith(f"`{place}` cannot be written: ")
    assert "-o FILE" in refused.value.hint
