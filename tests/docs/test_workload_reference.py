"""The reference lists the workloads that are shipped, as they describe themselves."""

import re
from pathlib import Path

from enos import content

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "workload-file.md"


def test_every_shipped_workload_is_listed_with_its_purpose() -> None:
    section = (
        PAGE.read_text().partition("## Shipped workloads")[2].partition("\n## ")[0]
    )

    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \|$", section, re.MULTILINE)

    names = content.names("workloads")
    assert rows == [(name, content.purpose(name)) for name in names]
    assert all(text.endswith(".") for _, text in rows)
