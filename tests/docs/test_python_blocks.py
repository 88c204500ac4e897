"""Examples in Python read the results that enos writes."""

import json
import re
from pathlib import Path

import pytest

from enos.bench.results import COLUMNS

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def test_runs_at_several_delays_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = ROOT / "docs" / "how-to" / "run-at-several-delays.md"
    (program,) = BLOCK.findall(page.read_text(encoding="utf-8"))
    for number, delay in enumerate(("0ms", "50ms"), 1):
        run = tmp_path / f"current/results/bench-2026-11-21T17-0{number}-00-wan"
        run.mkdir(parents=True)
        by_hand = {"src": "core", "dst": "edge", "delay": delay, "symmetric": True}
        (run / "network.json").write_text(json.dumps({"set": [by_hand]}))
        rows = (
            f"list networks,1,duration,{number}.0,s,1",
            f"list networks,2,duration,{number}.5,s,1",
            "list networks,3,duration,99,s,0",
            "list networks,1,neutron.list_networks,0.1,s,1",
        )
        (run / "results.csv").write_text("\n".join((",".join(COLUMNS), *rows)))
    monkeypatch.chdir(tmp_path)

    exec(compile(program, page.name, "exec"), {})

    told = capsys.readouterr().out.splitlines()
    assert told == ["0ms\tlist networks\t1.25", "50ms\tlist networks\t2.25"]
