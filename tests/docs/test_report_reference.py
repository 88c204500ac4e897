"""The page on reports names every file one is made of, and the limits of the code."""

from pathlib import Path

import pytest

from enos.phases.drawn import POINTS
from enos.phases.report import LARGEST
from enos.report.lanes import MOST
from enos.report.measures import MOST_DOTS
from enos.report.readings import WANTED
from enos.report.timeline import MOST_POINTS

PAGE = (Path(__file__).parents[2] / "docs/reference/report.md").read_text()


@pytest.mark.parametrize("pattern", WANTED)
def test_every_file_a_report_is_made_of_is_named(pattern: str) -> None:
    assert f"\n| `{pattern}` |" in PAGE


def test_the_limits_are_those_of_the_code() -> None:
    assert PAGE.count(f"{POINTS} means") == 2
    assert f"at most {MOST} of a lane" in PAGE
    assert f"at most {MOST_POINTS} points" in PAGE
    assert f"Of more than {MOST_DOTS}," in PAGE
    assert f"Files over {LARGEST >> 20} MiB" in PAGE
