"""Tables, crossings, comparisons and pages of traces."""

import base64
import csv
import hashlib
import io
import json
import re
from dataclasses import replace
from html import unescape

import pytest

from enos.traces import compare, page, tables, text
from enos.traces.crossings import Crossing, Lab, crossings, from_json, to_json
from enos.traces.points import Point, Trace
from enos.traces.tree import Tree, grown

MS = 1000
LAB = Lab(
    groups={"control-1": ("core",), "compute-1": ("edge1",)},
    rtt={("compute-1", "control-1"): 0.050},
    database="control-1",
)
FLAT = replace(LAB, rtt={})
CONDUCT = "nova.conductor.ConductorManager.object_action"


def spans(way: int = 0, *, iteration: int = 1, jitter: int = 0) -> Tree:
    """A boot in miniature; `way` is one way between the hosts in milliseconds.

    post (control) casts build (compute), which asks the conductor and Neutron twice,
    each time waiting for a round trip.
    """
    rows = (
        ("post", "t", "wsgi", "control-1", "nova osapi", 0, 30, "POST /v2.1/servers"),
        ("db1", "post", "db", "control-1", "nova osapi", 5, 9, "INSERT instances"),
        ("build", "post", "rpc", "compute-1", "nova-compute", 20 + way,
         120 + jitter + 5 * way, "nova.ComputeManager.build"),
        ("ask", "build", "rpc", "control-1", "nova-conductor", 30 + 2 * way,
         40 + 2 * way, CONDUCT),
        ("port", "build", "wsgi", "control-1", "neutron", 60 + 4 * way,
         90 + 4 * way, "POST /v2.0/ports"),
        ("last", "t", "wsgi", "control-1", "nova poll", 400, 401, "GET /v2.1/servers"),
    )  # fmt: skip
    points = []
    for name, parent, kind, host, service, begin, end, what in rows:
        common = {"id": name, "parent": parent, "kind": kind, "host": host}
        points += [
            Point(**common, ends=False, us=begin * MS, service=service, what=what),
            Point(**common, ends=True, us=end * MS),
        ]
    return grown(Trace(id=f"t{iteration}", iteration=iteration, points=tuple(points)))


def several(way: int = 0) -> tuple[Tree, ...]:
    return tuple(spans(way, iteration=n, jitter=n % 2) for n in range(1, 5))


def test_the_table_of_services_agrees_with_the_points() -> None:
    rows = {row.key: row for row in tables.summed([spans(), spans()])}
    post = rows["nova osapi", "REST"]
    assert (post.calls, post.seconds) == (2, pytest.approx(0.060))
    # 30 ms without the statement (4 ms) and what of the build it saw (10 ms)
    assert post.own == pytest.approx(0.032)
    assert rows["nova osapi", "database"].own == pytest.approx(0.008)
    assert sum(row.calls for row in rows.values()) == 12


def test_tidy_rows_are_those_of_results_csv() -> None:
    told = tables.as_csv(tables.tidy("boot", [spans(iteration=7)]))
    rows = list(csv.DictReader(io.StringIO(told)))
    assert list(rows[0]) == ["scenario", "iteration", "metric", "value", "unit", "ok"]
    found = {row["metric"]: row["value"] for row in rows}
    assert (found["RPC calls"], found["database calls"]) == ("2.0", "1.0")
    assert {(row["scenario"], row["iteration"]) for row in rows} == {("boot", "7")}


def test_calls_between_hosts_are_counted_with_the_round_trips_they_wait_for() -> None:
    found = {one.operation: one for one in crossings([spans(25)], LAB)}
    asked = found["ConductorManager.object_action"]
    assert (asked.source, asked.target) == ("edge1", "core")
    assert (asked.calls, asked.round_trips, asked.rtt) == (1, 1.0, 0.050)
    assert found["ComputeManager.build"].round_trips == 0.5  # nobody waits for a cast
    assert "INSERT instances" not in found  # it stayed on the database's host


def test_a_statement_from_afar_is_a_round_trip() -> None:
    away = replace(LAB, database="compute-1")
    found = {one.operation: one for one in crossings([spans()], away)}
    assert found["INSERT instances"] == Crossing(
        source="core",
        target="edge1",
        service="nova osapi",
        category="database",
        operation="INSERT instances",
        calls=1,
        round_trips=1.0,
        rtt=0.050,
    )


def test_a_lab_is_read_as_it_was_written() -> None:
    assert from_json(json.loads(json.dumps(to_json(LAB)))) == LAB


def test_what_grew_is_named_where_it_was_waited_for() -> None:
    before = compare.Side(trees=several(), lab=FLAT)
    after = compare.Side(trees=several(25), lab=LAB)
    rows = {(row.operation, row.before): row for row in compare.grown(before, after)}
    build = {
        ahead: row for (what, ahead), row in rows.items() if "ComputeManager" in what
    }
    # half a round trip to the conductor, one to Neutron that began with the way back
    # from it, half of one back from Neutron
    trips = {ahead: row.round_trips for ahead, row in build.items()}
    assert trips["ConductorManager.object_action"] == pytest.approx(0.5)
    assert trips["POST /v2.0/ports"] == pytest.approx(1.0)
    assert trips[""] == pytest.approx(0.5)
    assert all(row.sure for row in build.values())
    assert rows["POST /v2.0/ports", ""].seconds == pytest.approx(0.0)
    assert not rows["POST /v2.0/ports", ""].sure


def test_what_sending_trace_points_takes_is_left_out() -> None:
    before = compare.Side(trees=several(), lab=replace(FLAT, store="control-1"))
    after = compare.Side(trees=several(25), lab=replace(LAB, store="control-1"))
    rows = {(row.operation, row.before): row for row in compare.grown(before, after)}
    # build's own first point is waited for: it went to the store on control-1
    first = rows["ComputeManager.build", "ConductorManager.object_action"]
    assert first.sending == pytest.approx(0.050)
    assert first.seconds == pytest.approx(0.025 - 0.050)
    second = rows["ComputeManager.build", "POST /v2.0/ports"]
    assert second.sending == 0.0  # what came before it was on the store's host
    told = text.difference(before, after, tuple(rows.values()))
    assert "sending trace points took +50 ms of it" in told


def test_points_sent_from_afar_are_round_trips_too() -> None:
    found = crossings([spans(25)], replace(LAB, store="control-1"))
    (points,) = [one for one in found if one.service == "OSProfiler"]
    assert (points.source, points.target) == ("edge1", "core")
    assert (points.calls, points.round_trips) == (2, 2.0)


def test_what_stayed_on_one_host_has_no_round_trips() -> None:
    before = compare.Side(trees=several(), lab=FLAT)
    after = compare.Side(trees=several(25), lab=LAB)
    rows = {row.operation: row for row in compare.grown(before, after)}
    assert rows["INSERT instances"].round_trips is None


def test_without_a_longer_way_no_round_trips_are_told() -> None:
    side = compare.Side(trees=several(), lab=FLAT)
    rows = compare.grown(side, side)
    assert all(row.round_trips is None and not row.sure for row in rows)
    assert "no call changed" in text.difference(side, side, rows)


def test_a_single_trace_makes_nothing_sure() -> None:
    before = compare.Side(trees=[spans()], lab=FLAT)
    after = compare.Side(trees=[spans(25)], lab=LAB)
    assert not any(row.sure for row in compare.grown(before, after))


def test_an_operation_of_one_side_only_is_compared_with_nothing() -> None:
    other = replace(spans(), spans={}, children={})
    side = compare.Side(trees=several(), lab=FLAT)
    rows = compare.grown(compare.Side(trees=[other, other], lab=FLAT), side)
    assert {row.calls for row in rows} == {(0.0, 1.0)}


def test_the_report_holds_services_path_and_crossings() -> None:
    told = text.report("boot", several(25), LAB)
    for part in ("per trace", "critical path", "between hosts", "edge1 > core"):
        assert part in told
    assert told.splitlines()[0].startswith("boot, 4 traces: 24 spans")


def test_the_tree_is_told_with_callees_below_their_callers() -> None:
    lines = text.spans(spans()).splitlines()
    assert lines[2].endswith("POST /v2.1/servers")
    assert lines[3].endswith("  INSERT instances")


def test_the_comparison_names_calls_and_round_trips() -> None:
    before = compare.Side(trees=several(), lab=FLAT)
    after = compare.Side(trees=several(25), lab=LAB)
    told = text.difference(before, after, compare.grown(before, after))
    (line,) = [one for one in told.splitlines() if "before POST /v2.0/ports" in one]
    assert line.split()[:2] == ["+50.0", "1.0"]
    assert "ComputeManager.build, before" in line


def test_a_page_holds_all_it_needs() -> None:
    html = page.render("boot & delete", spans(25), LAB)
    assert "boot &amp; delete" in html
    namespace = "http://www.w3.org/2000/svg"
    assert not re.search(r"\b(?:src|href)\s*=|url\(|@import|fetch\(", html)
    assert set(re.findall(r"https?://[^\"\s]+", html)) == {namespace}
    assert "edge1 → core" in html


def test_a_browser_runs_the_page_s_own_script_and_no_other() -> None:
    html = page.render("x", spans(), LAB)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert policy
    told = unescape(policy[1])
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert told.startswith("default-src 'none'; ")
    assert told.partition("script-src")[2].split() == [f"'sha256-{digest}'"]


def test_names_cannot_leave_the_page_s_data() -> None:
    tree = spans()
    evil = replace(tree.spans["post"], what="</script><script>alert(1)</script>")
    html = page.render("x", replace(tree, spans={**tree.spans, "post": evil}), LAB)
    assert "<script>alert(1)" not in html


def test_the_page_s_data_refer_to_callers_by_position() -> None:
    told = page.data(spans(25), LAB)
    names = [one["operation"] for one in told["spans"]]
    build = told["spans"][names.index("ComputeManager.build")]
    assert told["spans"][build["parent"]]["operation"] == "POST /v2.1/servers"
    assert build["waited"] > 0
    assert sum(end - begin for _, begin, end in told["path"]) == pytest.approx(
        told["end"], abs=0.01
    )
