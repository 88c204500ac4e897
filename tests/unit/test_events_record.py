"""What became of events: kept, read again, judged."""

import csv
import io
from dataclasses import replace

import pytest

from enos.errors import EmulationError
from enos.events import Happened, as_csv, judge, why
from enos.events.record import punctuality

CUT = Happened(
    number=1,
    what="partition core|edge1",
    kind="partition",
    asked=10.0,
    outcome="done",
    began=1000.0,
    at=1010.02,
    ended=1010.27,
    hosts=("control-1", "compute-1"),
    scenario="boot and delete",
)
LATE = replace(CUT, number=2, what="heal", at=None, ended=None, outcome="not reached")


def test_an_event_reads_as_it_was_written() -> None:
    plain = CUT.to_json()

    assert Happened.from_json(plain) == CUT
    assert plain["offset"] == 10.02
    assert plain["ok"] is True
    assert LATE.to_json()["offset"] is None


def test_rows_have_the_shape_of_results() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv((CUT, LATE)))))

    assert [row["metric"] for row in rows] == [
        "event: partition core|edge1",
        "event took: partition core|edge1",
    ]
    assert [float(row["value"]) for row in rows] == [10.02, 0.25]
    assert rows[0]["scenario"] == "boot and delete"
    assert rows[0]["ok"] == "1"


def test_events_that_did_not_happen_are_judged_and_named() -> None:
    failed = replace(CUT, outcome="failed", errors={"compute-1": "no answer"})
    judge((CUT, replace(LATE, outcome="at the end")))

    with pytest.raises(EmulationError, match="2 of 3 events") as judged:
        judge((CUT, failed, LATE))

    assert "compute-1: no answer" in judged.value.details
    assert "the benchmark ended before" in judged.value.details
    assert why(replace(CUT, outcome="interrupted")) == "interrupted"
    late = replace(CUT, outcome="late", at=1015.0)
    assert not late.ok
    assert why(late) == "it began 5.0 s late, though none was under way"


def test_an_event_waited_or_is_late_by_what_kept_it() -> None:
    assert punctuality(10.0, 10.9, free=0.0) == "done"
    assert punctuality(10.0, 22.0, free=21.9) == "waited"
    assert punctuality(10.0, 23.0, free=21.9) == "late"
    assert punctuality(10.0, 11.1, free=0.0) == "late"


def test_an_event_that_waited_for_the_one_before_is_told_but_fails_no_run() -> None:
    waited = replace(CUT, outcome="waited", at=1015.0)

    judge((CUT, waited))
    assert why(waited) == "it began 5.0 s late, when the one before had ended"
