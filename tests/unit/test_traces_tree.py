"""From trace points to a tree of spans, whatever is missing or wrong."""

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enos.errors import TraceError
from enos.traces import clock, critical, names
from enos.traces.points import Point, Trace, read
from enos.traces.tree import Tree, grown

MS = 1000  # microseconds


def pair(
    name: str,
    begin: int,
    end: int,
    *,
    parent: str = "trace",
    host: str = "control-1",
    kind: str = "wsgi",
    what: str = "",
    service: str = "osapi_compute",
) -> tuple[Point, Point]:
    """Both points of a span; times in milliseconds."""
    start = Point(
        id=name, parent=parent, kind=kind, ends=False, us=begin * MS, host=host,
        project="nova", service=service, what=what or name,
    )  # fmt: skip
    stop = Point(id=name, parent=parent, kind=kind, ends=True, us=end * MS, host=host)
    return start, stop


def tree(*pairs: tuple[Point, ...]) -> Tree:
    points = tuple(point for several in pairs for point in several)
    return grown(Trace(id="trace", iteration=1, points=points))


def names_of(segments: tuple[critical.Segment, ...]) -> list[tuple[str, float]]:
    return [(one.span or "client", round(one.seconds * 1000)) for one in segments]


def test_spans_stand_under_what_called_them_in_the_order_they_began() -> None:
    made = tree(
        pair("b", 5, 6, parent="a"), pair("a", 0, 10), pair("c", 1, 3, parent="a")
    )
    assert [(depth, span.id) for depth, span in made.walk()] == [
        (0, "a"),
        (1, "c"),
        (1, "b"),
    ]
    assert made.seconds == pytest.approx(0.010)


def test_own_time_is_when_nothing_that_was_called_was_under_way() -> None:
    made = tree(
        pair("a", 0, 10),
        pair("b", 1, 4, parent="a"),
        pair("c", 3, 5, parent="a"),  # at the same time
        pair("d", 9, 14, parent="a", kind="rpc"),  # a cast: it outlives its caller
    )
    assert made.own(made.spans["a"]) == pytest.approx(0.005)
    told = [
        (round(end * 1000), one and one.id)
        for _, end, one in made.gaps(made.spans["a"])
    ]
    assert told == [(1, "b"), (9, "d")]


def test_a_thread_that_goes_on_after_an_answer_belongs_to_who_began_it() -> None:
    made = tree(
        pair("post", 0, 2),
        pair("build", 1, 2, parent="post", kind="rpc", service="nova-compute"),
        pair("ask", 9000, 9002, parent="build", kind="rpc"),  # by build's thread
        pair("last", 9003, 9004),
    )
    assert made.own(made.spans["build"]) == pytest.approx(8.999)
    assert made.own(made.spans["post"]) == pytest.approx(0.001)
    assert made.spans["build"].seconds == pytest.approx(0.001)


def test_a_message_served_in_a_thread_of_an_earlier_one_prolongs_no_request() -> None:
    made = tree(
        pair("post", 0, 2),
        pair("stale", 9000, 9002, parent="post", kind="rpc", service="agent"),
        pair("last", 9003, 9004),
    )
    assert made.reach["post"] == pytest.approx(0.002)
    assert made.own(made.spans["post"]) == pytest.approx(0.002)


def test_what_begins_after_the_last_answer_belongs_to_nobody() -> None:
    made = tree(pair("post", 0, 2), pair("stale", 50, 60, parent="post", kind="rpc"))
    assert made.own(made.spans["post"]) == pytest.approx(0.002)
    assert (made.seconds, made.last) == (pytest.approx(0.002), pytest.approx(0.060))
    assert names_of(critical.path(made)) == [("post", 2)]


def test_a_span_without_an_end_lasts_as_long_as_what_it_called() -> None:
    start, _ = pair("a", 0, 99)
    made = tree((start,), pair("b", 2, 7, parent="a"))
    assert made.spans["a"].end == pytest.approx(0.007)
    assert not made.spans["a"].whole
    assert made.broken == 1


def test_a_span_without_a_beginning_begins_with_what_it_called() -> None:
    _, stop = pair("a", 0, 9)
    made = tree(pair("b", 2, 7, parent="a"), (stop,))
    assert made.spans["a"].begin == made.spans["b"].begin
    assert made.spans["a"].seconds == pytest.approx(0.007)


def test_a_span_whose_caller_is_unknown_is_a_root() -> None:
    made = tree(pair("a", 0, 5), pair("b", 1, 2, parent="lost"))
    assert made.children[""] == ("a", "b")


def test_callers_that_call_each_other_in_a_circle_are_cut() -> None:
    made = tree(pair("a", 0, 5, parent="b"), pair("b", 1, 2, parent="a"))
    assert len(list(made.walk())) == 2


def test_a_clock_that_is_behind_is_put_right_by_the_least_that_does() -> None:
    made = tree(
        pair("a", 100, 200),
        pair("b", 50, 90, parent="a", host="compute-1"),  # began before it was asked
    )
    assert made.shifts == {"compute-1": pytest.approx(0.050)}
    assert made.spans["b"].begin == made.spans["a"].begin


def test_a_clock_that_is_ahead_is_found_by_what_came_back() -> None:
    made = tree(
        pair("a", 100, 200),
        pair("b", 250, 290, parent="a", host="compute-1"),
    )
    assert made.shifts == {"compute-1": pytest.approx(-0.090)}


def test_a_request_that_nobody_waited_for_moves_no_clock() -> None:
    made = tree(
        pair("a", 100, 200),
        pair("b", 110, 150, parent="a", host="compute-1"),
        pair("c", 120, 150, parent="a", host="compute-1"),
        pair("d", 150, 900, parent="a", host="compute-1"),  # by a thread
    )
    assert made.shifts == {}


def test_clocks_that_contradict_nothing_are_left_alone() -> None:
    made = tree(pair("a", 100, 200), pair("b", 110, 150, parent="a", host="compute-1"))
    assert made.shifts == {}


def test_a_chain_of_hosts_is_put_right_from_the_first() -> None:
    def seen(caller: str, callee: str, asked: float, begin: float) -> clock.Sighting:
        return clock.Sighting(
            caller=caller, callee=callee, asked=asked, answered=None, begin=begin,
            end=None,
        )  # fmt: skip

    found = clock.shifts(
        [seen("a", "a", 0, 0), seen("a", "b", 10, 7), seen("b", "c", 7, 5)]
    )
    assert found == {"b": 3.0, "c": 5.0}


def test_the_critical_path_goes_through_what_ended_last() -> None:
    made = tree(
        pair("a", 0, 10),
        pair("short", 1, 3, parent="a"),
        pair("long", 2, 8, parent="a"),
    )
    assert names_of(critical.path(made)) == [
        ("a", 1),
        ("short", 1),
        ("long", 6),
        ("a", 2),
    ]


def test_between_two_requests_the_client_is_what_took_the_time() -> None:
    made = tree(pair("a", 0, 4), pair("b", 10, 12))
    assert names_of(critical.path(made)) == [("a", 4), ("client", 6), ("b", 2)]


def test_work_that_outlives_its_caller_is_on_the_path_polls_beside_it_are_not() -> None:
    made = tree(
        pair("post", 0, 2),
        pair("build", 1, 9, parent="post", kind="rpc"),
        pair("poll", 4, 5),  # hidden behind the work
        pair("last", 10, 11),
    )
    path = names_of(critical.path(made))
    assert path == [("post", 1), ("build", 8), ("client", 1), ("last", 1)]


@pytest.mark.parametrize(
    ("what", "operation"),
    [
        ("GET /v3/users/0b1c7d3e1111422283330123456789ab/x", "GET /v3/users/{id}/x"),
        ("GET /v2/images/0b1c7d3e-1111-4222-8333-0123456789ab", "GET /v2/images/{id}"),
        ("GET /networks/c_rally_5f_abc.json", "GET /networks/{name}.json"),
        ("POST /v2.1/servers", "POST /v2.1/servers"),
    ],
)
def test_requests_are_called_alike_whatever_they_are_for(
    what: str, operation: str
) -> None:
    assert names.operation("wsgi", what) == operation


def test_a_file_that_is_no_trace_is_named(tmp_path: Path) -> None:
    path = tmp_path / "0001.json.gz"
    for content in (b"", b"no gzip", gzip.compress(b"{}"), gzip.compress(b"[1]")):
        path.write_bytes(content)
        with pytest.raises(TraceError, match=r"0001\.json\.gz") as caught:
            read(path)
        assert caught.value.exit_code == 15


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    point: dict[str, Any] = {
        "id": "a", "parent": "t", "kind": "db", "edge": "stop", "us": 5, "host": "h",
        "project": "nova", "service": "x", "error": "E",
    }  # fmt: skip
    whole = {"format": "enos-trace", "version": 1, "id": "t", "iteration": 3}
    path = tmp_path / "0003.json.gz"
    path.write_bytes(gzip.compress(json.dumps({**whole, "points": [point]}).encode()))
    trace = read(path)
    assert (trace.id, trace.iteration) == ("t", 3)
    (found,) = trace.points
    assert (found.ends, found.us, found.error, found.what) == (True, 5, "E", "")


POINTS = st.builds(
    Point,
    id=st.sampled_from("abcdefgh"),
    parent=st.sampled_from(["trace", *"abcdefgh"]),
    kind=st.sampled_from(["wsgi", "rpc", "db"]),
    ends=st.booleans(),
    us=st.integers(0, 10_000_000),
    host=st.sampled_from(["control-1", "compute-1", "compute-2"]),
)


@given(st.lists(POINTS, max_size=40))
def test_every_span_is_in_the_tree_once_and_the_path_covers_all(
    points: list[Point],
) -> None:
    made = grown(Trace(id="trace", iteration=1, points=tuple(points)))
    walked = [span.id for _, span in made.walk()]
    assert sorted(walked) == sorted({point.id for point in points})
    assert all(span.seconds >= 0 for span in made.spans.values())
    for span in made.spans.values():
        reach = made.reach[span.id]
        assert -1e-9 <= made.own(span) <= reach - span.begin + 1e-9
        assert reach >= span.end
    segments = critical.path(made)
    assert sum(one.seconds for one in segments) == pytest.approx(made.seconds, abs=1e-3)
    for one, following in pairwise(segments):
        # Stretches of a microsecond are left out, one after the other at worst.
        assert following.begin == pytest.approx(one.end, abs=2e-6 * len(points))
