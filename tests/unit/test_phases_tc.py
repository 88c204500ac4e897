"""`enos tc` on hosts that are not there: what is set by hand, kept and told."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from enos import netem
from enos.errors import ConfigError, EmulationError, StateError
from enos.netem import (
    Backend,
    MeasuredPair,
    Measurement,
    Pair,
    Shaping,
    Trips,
    commands,
)
from enos.phases import baseline, byhand, info, tc
from enos.phases.session import Session, phase
from enos.testing import RecordingProgress, RecordingShell
from enos.testing.recording import Answer, Call
from enos.units import Duration, GilbertElliott, Percent, Rate

Opener = Callable[[str, RecordingShell], AbstractContextManager[Session]]
FILE = """\
provider: {type: fake}
topology:
  core: {any: {control: 1}}
  edge: {any: {compute: 2}}
network_constraints: {src: core, dst: edge, delay: 20ms, loss: 1%, symmetric: true}
"""
CAPABLE = "tc htb netem copies"
BY_THE_LOT = (
    "sch_netem draws loss, copies and overtaking once for what offloads hand over at "
    "once, up to 64 KiB of TCP, not for each packet on the wire"
)


class Hosts(RecordingShell):
    """Hosts that say they do whatever they were told last.

    Attributes:
        refuses: what a host says that does not do as told, empty when it does.
        shaped: whether they were told anything.
        probed: for each time one of them measured, whether it was shaped.

    """

    def __init__(self) -> None:
        super().__init__()
        self.shaped = False
        self.probed: list[bool] = []
        self.refuses = ""
        self.script("ssh *sh -s*", self.answer)
        self.script("ssh *python3 -*", self.probe)

    def answer(self, call: Call) -> Answer:
        if call.stdin.rstrip().endswith("probe"):
            return Answer(stdout=CAPABLE)
        if "all_or_nothing" in call.stdin.splitlines():
            self.shaped = True
            return Answer(stderr=self.refuses, returncode=2 if self.refuses else 0)
        return Answer()

    def probe(self, call: Call) -> Answer:
        self.probed.append(self.shaped)
        words = call.argv[-1].split()[4:]
        addresses = [word.partition(",")[2] for word in words]
        found = {"trips": [35.2 if self.shaped else 0.1] * 21, "extra": 0}
        return Answer(stdout=json.dumps(dict.fromkeys(addresses, found)))


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    # What hosts report is compared elsewhere; here they always do as told.
    monkeypatch.setattr("enos.netem.act._check", lambda *_: None)
    return Hosts()


@pytest.fixture
def session(machines_up: Opener, hosts: Hosts) -> Iterator[Session]:
    with machines_up(FILE, hosts) as session:
        yield session


def said(session: Session) -> list[str]:
    progress = session.progress
    assert isinstance(progress, RecordingProgress)
    return progress.decisions


def held(session: Session) -> dict[tuple[str, ...], str]:
    """Return what is planned at present between groups."""
    groups = {host.name: host.groups for host in session.testbed.hosts}
    return {
        (*groups[rule.host], *groups[rule.target]): str(rule.shaping)
        for rule in tc.planned(session).rules()
    }


def test_a_wish_is_what_a_file_would_say() -> None:
    wish = byhand.wish(
        "grp[1-2], grp3",
        ("delay=50ms", "jitter=1ms", "loss={p: 1%, r: 10%}", "limit=100"),
        one_way=False,
    )

    several = byhand.specs(wish)

    assert [(one.src, one.dst) for one in several] == [
        ("grp1", "grp3"),
        ("grp2", "grp3"),
    ]
    assert (several[0].delay, several[0].symmetric) == (Duration(ms=50), True)
    assert several[0].loss == GilbertElliott(p=Percent(1), r=Percent(10))
    assert several[0].limit == 100


@pytest.mark.parametrize(
    ("between", "words", "message"),
    [
        ("grp1", ("delay=1ms",), "`grp1` is not two groups"),
        ("grp1,grp2,grp3", ("delay=1ms",), "not two groups"),
        ("grp1,", ("delay=1ms",), "not two groups"),
        ("grp1,grp2", (), "nothing is asked"),
        ("grp1,grp2", ("deley=1ms",), "`deley` is not a quantity"),
        ("grp1,grp2", ("src=grp3",), "`src` is not a quantity"),
        ("grp1,grp2", ("delay=",), "`delay` has no value"),
        ("grp1,grp2", ("delay=-5ms",), "`-5ms` is negative"),
        ("grp1,grp2", ("delay=5",), "the unit is missing"),
        ("grp1,grp2", ("loss={p: 1%, q: 2%}",), "unknown key `q`"),
        ("grp1,grp2", ("loss={p: 1%",), "is not `quantity=value`"),
        ("grp[2-1],grp2", ("delay=5ms",), "runs backwards"),
    ],
)
def test_a_wrong_wish_is_named(
    between: str, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        byhand.wish(between, words, one_way=False)


def test_a_misspelt_quantity_is_guessed() -> None:
    with pytest.raises(ConfigError) as wrong:
        byhand.wish("a,b", ("deley=1ms",), one_way=False)

    assert wrong.value.hint == "did you mean `delay`?"


def test_what_is_set_lies_over_the_file_and_is_kept(session: Session) -> None:
    wish = byhand.wish("core,edge", ("delay=50ms",), one_way=True)
    tc.set_by_hand(session, wish)

    assert held(session) == {
        ("core", "edge"): "50ms, loss 1%",
        ("edge", "core"): "20ms, loss 1%",
    }
    assert byhand.read(session.directory) == (wish,)
    assert "set by hand: core -> edge delay=50ms" in said(session)
    journal = session.directory.journal.events()
    assert "set by hand: core -> edge delay=50ms" in [one["what"] for one in journal]


def test_what_the_kernel_will_not_do_is_told(session: Session) -> None:
    words = ("jitter=2ms", "delay_correlation=30%")
    tc.set_by_hand(session, byhand.wish("core,edge", words, one_way=False))

    progress = session.progress
    assert isinstance(progress, RecordingProgress)
    assert progress.warnings == [
        "sch_netem draws delays independently: no `delay_correlation` will show",
        BY_THE_LOT,
    ]


def test_later_wishes_lie_over_earlier_ones(session: Session) -> None:
    for words in (("delay=50ms", "loss=5%"), ("delay=60ms",)):
        wish = byhand.wish("core,edge", words, one_way=False)
        tc.set_by_hand(session, wish)

    assert set(held(session).values()) == {"60ms, loss 5%"}


def test_without_wishes_the_network_is_the_files_again_and_that_is_told(
    session: Session,
) -> None:
    tc.set_by_hand(session, byhand.wish("core,edge", ("delay=50ms",), one_way=False))

    tc.run(session)

    assert set(held(session).values()) == {"20ms, loss 1%"}
    assert byhand.read(session.directory) == ()
    assert said(session)[-1] == (
        "the network is the file's again, without what was set by hand: "
        "core <-> edge delay=50ms"
    )


def test_a_reset_forgets_what_was_set(session: Session) -> None:
    tc.set_by_hand(session, byhand.wish("core,edge", ("delay=50ms",), one_way=False))

    tc.reset(session)

    assert byhand.read(session.directory) == ()
    assert set(held(session).values()) == {"20ms, loss 1%"}


def test_what_a_host_refuses_was_never_set(session: Session, hosts: Hosts) -> None:
    first = byhand.wish("core,edge", ("delay=50ms",), one_way=False)
    tc.set_by_hand(session, first)
    hosts.refuses = "RTNETLINK answers: No such file or directory"

    with pytest.raises(EmulationError, match="refused the network emulation"):
        tc.set_by_hand(session, byhand.wish("core,edge", ("loss=9%",), one_way=False))

    assert byhand.read(session.directory) == (first,)
    assert not session.directory.load().done("tc")


@pytest.mark.parametrize(
    ("between", "words", "message"),
    [
        ("core,egde", ("delay=1ms",), "`egde`, which is no group or role"),
        ("core,edge", ("delay=1ms", "network=lan"), "`lan`, which is no network"),
        ("core,edge", ("jitter=30ms",), "`jitter` .* does not fit"),
    ],
)
def test_what_cannot_be_planned_touches_nothing(
    session: Session,
    hosts: Hosts,
    between: str,
    words: tuple[str, ...],
    message: str,
) -> None:
    before = len(hosts.calls)
    wish = byhand.wish(between, words, one_way=False)

    with pytest.raises(EmulationError, match=message):
        tc.set_by_hand(session, wish)

    touched = [call.line for call in hosts.calls[before:] if call.argv[0] == "ssh"]
    assert touched == []
    assert byhand.read(session.directory) == ()


def test_the_plan_shows_what_is_and_what_would_be_set(session: Session) -> None:
    wish = byhand.wish("core,edge", ("delay=50ms",), one_way=True)

    assert "set by hand" not in "\n".join(tc.lines(session))
    preview = "\n".join(tc.lines(session, wish))
    assert "# set by hand: core -> edge delay=50ms" in preview
    assert "delay 50ms loss 1%" in preview
    assert byhand.read(session.directory) == ()

    tc.set_by_hand(session, wish)
    shown = "\n".join(tc.lines(session))
    assert "# set by hand: core -> edge delay=50ms" in shown
    assert "`enos tc` goes back to the file" in shown


def test_status_and_info_tell_what_is_set(session: Session) -> None:
    wish = byhand.wish("core,edge", ("loss={p: 1%}",), one_way=False)
    tc.set_by_hand(session, wish)

    line = "set by hand: core <-> edge loss={p: 1%}"
    assert line in info.status(session).text.splitlines()
    assert line in info.of_session(session).text.splitlines()
    assert info.status(session).values["set"] == [wish]


def test_a_broken_record_is_named(session: Session) -> None:
    (session.directory.path / byhand.FILE).write_text("constraints: {a")

    with pytest.raises(StateError, match=r"tc-set\.yml` cannot be read"):
        tc.planned(session)


def test_the_proof_is_written_as_json_rows_and_a_heat_map(session: Session) -> None:
    tc.set_by_hand(session, byhand.wish("core,edge", ("delay=15ms",), one_way=True))

    proof = tc.prove(session)

    results = session.directory.results
    kept = json.loads((results / "tc.json").read_text())
    assert kept["set"][0]["delay"] == "15ms"
    assert len(kept["verdicts"]) == len(proof.verdicts)
    rows = list(csv.DictReader((results / "tc.csv").read_text().splitlines()))
    assert tuple(rows[0]) == tc.COLUMNS
    ends = {(r["source_group"], r["destination_group"]) for r in rows}
    assert ends == {("core", "edge"), ("edge", "core"), ("edge", "edge")}
    assert {(r["quantity"], r["unit"]) for r in rows} == {("loss", "%"), ("rtt", "ms")}
    page = (results / "tc-rtt.html").read_text()
    assert "<svg" in page
    assert "asked 35" in page
    assert proof.matrix
    assert proof.matrix.groups == ("core", "edge")


def baselines(hosts: Hosts) -> int:
    """Return how often hosts measured while nothing was emulated."""
    return sum(not one for one in hosts.probed)


def again(session: Session, hosts: Hosts) -> None:
    hosts.shaped = False  # as after the reset before a baseline
    tc.run(session)


def test_the_baseline_is_measured_once_for_the_same_machines(
    session: Session, hosts: Hosts
) -> None:
    tc.run(session)
    before = baselines(hosts)
    assert before

    again(session, hosts)

    assert baselines(hosts) == before


@pytest.mark.parametrize("change", ["addresses", "given back"])
def test_other_machines_of_the_same_names_have_a_baseline_of_their_own(
    session: Session, hosts: Hosts, change: str
) -> None:
    tc.run(session)
    before = baselines(hosts)
    if change == "addresses":
        bed = session.testbed
        moved = tuple(replace(one, address=f"{one.address}9") for one in bed.hosts)
        session.save(testbed=replace(bed, hosts=moved))
    else:
        with phase(session, "destroy"):
            pass

    assert baseline.read(session) is None
    again(session, hosts)

    assert baselines(hosts) == 2 * before
    assert baseline.read(session) is not None


def test_a_baseline_lacks_new_pairs_and_higher_rates_only() -> None:
    def pair(name: str, rate: str = "") -> Pair:
        there = Shaping(rate=Rate.parse(rate) if rate else None)
        ends = {"source": "a", "destination": name, "network": "n"}
        places = {"address": "::1", "back_address": "::2"}
        return Pair(**ends, **places, there=there, back=Shaping())

    def known(*pairs: Pair) -> Measurement:
        trips = Trips.of([0.1])
        found = (MeasuredPair(pair=one, trips=trips, rate_there=9e9) for one in pairs)
        return Measurement(pairs=tuple(found))

    kept = known(pair("b", "20mbit"), pair("c"))
    wanted = (pair("b", "10mbit"), pair("b", "30mbit"), pair("c", "1mbit"), pair("d"))

    assert baseline.lacking(kept, wanted) == wanted[1:]
    assert baseline.lacking(None, wanted) == wanted
    both = baseline.merged(kept, known(pair("c", "1mbit"), pair("d")))
    assert [one.pair.destination for one in both.pairs] == ["b", "c", "d"]
    assert both.pairs[1].pair.there.rate == Rate.parse("1mbit")


def test_a_rate_the_baseline_failed_to_measure_is_lacking_unless_the_link_is_cut() -> (
    None
):
    open_ = Pair(
        source="a",
        destination="b",
        network="n",
        address="::1",
        back_address="::2",
        there=Shaping(rate=Rate.parse("1mbit")),
        back=Shaping(),
    )
    shut = replace(open_, there=replace(open_.there, loss=Percent(100)))
    failed = MeasuredPair(pair=open_, trips=Trips.of([0.1]), why_not_there="late")
    kept = Measurement(pairs=(failed,))

    assert baseline.lacking(kept, (open_,)) == (open_,)
    assert baseline.lacking(kept, (shut,)) == ()


def warned(session: Session) -> list[str]:
    progress = session.progress
    assert isinstance(progress, RecordingProgress)
    return progress.warnings


def test_pairs_that_nobody_looked_at_are_told_and_kept(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enos.netem.measurement.MOST_PAIRS", 1)
    tc.run(session)

    proof = tc.prove(session)

    all_of_them = netem.pairs_in_all(tc.planned(session), session.testbed)
    assert (len(proof.measurement.pairs), proof.unmeasured) == (1, all_of_them - 1)
    assert proof.unmeasured > 0
    assert warned(session)[-1].startswith(f"{proof.unmeasured} more pairs of hosts")
    kept = json.loads((session.directory.results / "tc.json").read_text())
    assert kept["unmeasured_pairs"] == proof.unmeasured


def test_defaults_that_shape_nothing_are_told(session: Session) -> None:
    tc.run(session)
    assert not [one for one in warned(session) if "shape nothing" in one]
    text = session.directory.experiment.read_text()
    asked = "network_constraints: {default_delay: 5ms, except: [control]}\n"
    session.directory.experiment.write_text(
        text.partition("network_constraints")[0] + asked
    )

    tc.run(session)

    assert warned(session)[-1].startswith(
        "the defaults shape nothing: no two machines are of different groups (`edge`)"
    )


def test_the_plan_of_the_session_is_the_one_that_is_applied(session: Session) -> None:
    tc.set_by_hand(session, byhand.wish("core,edge", ("delay=50ms",), one_way=False))

    told = commands(tc.planned(session), Backend.NETEM)
    text = (session.directory.results / "tc-plan.txt").read_text()

    assert all(mine.text in text for mine in told.values())
