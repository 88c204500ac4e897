"""What happened, as points beside the measures."""

from enos.metrics.annotations import lines


def test_a_name_with_marks_of_the_format_stays_one_tag() -> None:
    told = {"time": 1.5, "kind": "phase", "what": "a, b=c\nd", "status": "done"}

    assert lines([told]) == (r'events,kind=phase,what=a\,\ b\=c\ d status="done" 1500',)


def test_each_has_a_status_for_what_asks_for_that_field() -> None:
    told = {"time": 1, "kind": "event", "what": "cut", "status": "", "host": "a"}

    assert lines([told]) == (
        'events,kind=event,what=cut status="happened",host="a" 1000',
    )


def test_what_is_no_event_is_left_out() -> None:
    assert lines([{"time": 1, "kind": "step", "phase": "up", "what": "x"}]) == ()
