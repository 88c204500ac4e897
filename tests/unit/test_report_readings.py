import json

from hypothesis import given, settings
from hypothesis import strategies as st

from enos.report.readings import WANTED, read, wanted
from enos.report.runs import Sample

RUN = "results/bench-2026-11-21T16-42-18-demo"
SCENARIO = {
    "name": "boot",
    "plugin": "NovaServers.boot",
    "ok": True,
    "verdict": "2 of 2 iterations passed",
    "durations": [1.0, 2.0],
    "spans": [[10.0, 11.0, True], [11.0, 13.0, True]],
    "slas": [{"criterion": "failure_rate", "ok": True, "detail": ""}],
    "began": 9.0,
    "seconds": 5.0,
}
TIDY = (
    "scenario,iteration,metric,value,unit,ok\n"
    "boot,1,duration,1.0,s,1\n"
    "boot,1,nova.boot_server,0.5,s,1\n"
    "boot,2,nova.boot_server,0.7,s,1\n"
    "boot,2,nova.delete_server,9.9,s,0\n"
    '"traffic: TCP, a to b",1,throughput,93.1,Mbit/s,1\n'
)


def test_only_what_a_report_is_made_of_is_wanted() -> None:
    assert wanted("journal.jsonl")
    assert wanted(f"{RUN}/results.csv")
    assert not wanted("kolla/passwords.yml")
    assert not wanted("state.json")
    assert not wanted(f"{RUN}/rally.log")


def test_a_run_has_its_scenarios_and_their_measures() -> None:
    found = read(
        {f"{RUN}/results.json": json.dumps([SCENARIO]), f"{RUN}/results.csv": TIDY}
    )

    (run,) = found.runs
    (one,) = run.scenarios
    assert run.label == "demo, 16:42:18"
    assert one.durations == (1.0, 2.0)
    assert one.passed == (True, True)
    assert run.actions == (
        Sample(scenario="boot", metric="nova.boot_server", unit="s", values=(0.5, 0.7)),
    )
    assert run.figures == (
        Sample(
            scenario="traffic: TCP, a to b",
            metric="throughput",
            unit="Mbit/s",
            values=(93.1,),
        ),
    )


def test_a_file_that_cannot_be_read_is_noted_and_the_rest_is_kept() -> None:
    found = read(
        {
            "results/tc.json": '{"backend": "netem"}',
            f"{RUN}/results.json": "[",
            "results/guest.json": '{"ready": true}',
        }
    )

    assert found.guest == {"ready": True}
    assert found.links == ()
    assert found.runs == ()
    assert [note.partition(" ")[0] for note in found.notes] == [
        "results/tc.json",
        f"{RUN}/results.json",
    ]


def test_a_line_cut_off_by_a_crash_is_left_out() -> None:
    good = '{"time": 1, "kind": "phase", "what": "up", "status": "started"}\n'

    found = read({"journal.jsonl": good + '{"time": 2, "ki'})

    assert [event["what"] for event in found.journal] == ["up"]
    assert found.notes == ()


@settings(max_examples=25)
@given(
    st.dictionaries(
        st.sampled_from([pattern.replace("*", "bench-x") for pattern in WANTED]),
        st.text()
        | st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ).map(json.dumps),
    )
)
def test_no_file_however_wrong_stops_the_reading(material: dict[str, str]) -> None:
    found = read(material)

    named = {note.partition(" ")[0] for note in found.notes}
    assert named <= set(material)
