"""The page on what is proved names the tests there are, and no others."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/what-is-proved.md").read_text()
NAMED = set(re.findall(r"`(tests/\w+/test_\w+\.py)`", PAGE))


def test_every_test_with_real_parts_is_named() -> None:
    there = {
        path.relative_to(ROOT).as_posix()
        for folder in ("integration", "e2e", "packaging")
        for path in (ROOT / "tests" / folder).glob("test_*.py")
    }

    assert sorted(there - NAMED) == []
    assert sorted(NAMED - there) == []
