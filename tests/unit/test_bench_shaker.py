import io
import json
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enos.bench.host import Bench
from enos.bench.measure import Measure
from enos.bench.rally import run_workload
from enos.bench.results import as_csv, summary
from enos.bench.runfolder import CUT, DONE, run_folder
from enos.bench.shaker import flent, node, nodes, runner
from enos.bench.shaker.execution import Traffic, folder_of
from enos.bench.shaker.outcome import result
from enos.bench.shaker.page import page, points
from enos.bench.shaker.placement import agents, specification
from enos.bench.shaker.samples import found, weighted
from enos.bench.shaker.scenario import ShakerRun, Where, alias_of
from enos.bench.shaker.setting import PORT, Guests, Setting, credentials, options
from enos.bench.workload import load_workload
from enos.errors import BenchmarkError, CapabilityError, ConfigError, ProcessError
from enos.testbed import Host, Network, Nic, Testbed
from enos.testing import Answer, Call, RecordingProgress, RecordingShell
from tests.conftest import Golden

OUTPUT = Path(__file__).parents[1] / "golden" / "bench" / "shaker.json"
MINE = """\
title: mine
execution:
  tests:
    - {title: TCP, class: iperf3}
    - {class: shell, script: 'echo "${HOME}"'}
"""


def loaded(folder: Path, text: str) -> tuple[ShakerRun, ...]:
    (folder / "run.yml").write_text(text)
    return load_workload(folder / "run.yml").shaker


def problems(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    return caught.value.details.replace(f"{folder}/", "")


def host(name: str, group: str, role: str, *addresses: str) -> Host:
    nics = tuple(
        Nic(device=f"eth{place}", network=network, addresses=(address,))
        for place, (network, address) in enumerate(
            zip(("api", "tunnel"), addresses, strict=False)
        )
    )
    return Host(name=name, address=name, groups=(group,), roles=(role,), nics=nics)


TESTBED = Testbed(
    provider="fake",
    hosts=(
        host("control-1", "core", "control", "10.0.0.2/24", "10.1.0.2/24"),
        host("compute-1", "edge", "compute", "10.0.0.3/24", "10.1.0.3/24"),
        host("compute-2", "edge", "compute", "10.0.0.4/24", "10.1.0.4/24"),
    ),
    networks=(
        Network(name="api", cidr="10.0.0.0/24", roles=("api",)),
        Network(name="tunnel", cidr="10.1.0.0/24", roles=("tunnel",)),
    ),
)


def test_a_single_scenario_is_accepted_flat(tmp_path: Path) -> None:
    (run,) = loaded(tmp_path, "shaker: {file: openstack/dense_l2.yml}\n")

    assert run.alias == "openstack/dense_l2"
    assert run.where is Where.GUESTS
    assert run.name == "dense_l2"


def test_scenarios_are_labelled_and_left_out(tmp_path: Path) -> None:
    text = """
shaker:
  scenarios:
    - {name: dense l2, file: openstack/dense_l2}
    - {name: other, file: no-such, enabled: false}
    - {name: again, file: openstack/dense_l2}
"""

    assert [run.name for run in loaded(tmp_path, text)] == ["dense l2", "again #2"]
    assert loaded(tmp_path, "shaker: {enabled: false, file: x}\n") == ()


def test_lists_of_arguments_make_runs(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(MINE)
    text = """
shaker:
  args: {time: [5, 10]}
  scenarios:
    - {file: mine.yml, between: [core, edge], args: {threads: 2}}
"""

    runs = loaded(tmp_path, text)

    assert [run.name for run in runs] == ["mine [time=5]", "mine [time=10]"]
    assert runs[0].args == {"time": 5, "threads": 2}
    assert runs[0].where is Where.NODES
    assert runs[0].programs == ("iperf3",)
    assert runs[0].key != runs[1].key


def test_a_file_of_the_user_wins_over_a_scenario_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "openstack").mkdir()
    (tmp_path / "openstack" / "perf_l2.yml").write_text(MINE)

    (run,) = loaded(tmp_path, "shaker: {file: openstack/perf_l2.yml}\n")

    assert run.alias == ""
    assert run.where is Where.BENCH_HOST
    assert "${HOME}" in run.text


def test_templates_beside_a_scenario_travel_with_it(tmp_path: Path) -> None:
    (tmp_path / "two.hot").write_text("heat_template_version: 2013-05-23\n")
    (tmp_path / "two.yml").write_text(
        "deployment: {template: two.hot, accommodation: [pair, single_room,"
        " compute_nodes: 2]}\nexecution: {tests: [{class: iperf3}]}\n"
    )
    (tmp_path / "own.yml").write_text(
        "deployment: {template: shaker/scenarios/openstack/l2.hot}\n"
        "execution: {tests: [{class: iperf3}]}\n"
    )
    text = "shaker: {scenarios: [{file: two.yml}, {file: own.yml}]}\n"

    two, own = loaded(tmp_path, text)

    assert two.files == {"two.hot": "heat_template_version: 2013-05-23\n"}
    assert two.where is own.where is Where.GUESTS
    assert own.files == {}


def test_all_that_is_wrong_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text(
        "execution:\n  tests:\n    - {class: iperf4}\n    - {class: shell}\n"
    )
    (tmp_path / "lost.yml").write_text(
        "deployment: {template: l3.hot}\nexecution: {tests: [{class: iperf3}]}\n"
    )
    text = """\
shaker:
  scenarios:
    - file: bad.yml
    - file: lost.yml
    - file: openstack/perf_l4
"""

    told = problems(tmp_path, text)

    assert "run.yml:3:13: bad.yml:3:15:" in told
    assert "a test of class `shell` needs a `program` or a `script`" in told
    assert "run.yml:4:13: lost.yml:1:24: there is no template `l3.hot`" in told
    assert "run.yml:5:13: there is no scenario `openstack/perf_l4`" in told
    assert "did you mean `openstack/perf_l2`?" in told


def test_shaker_comes_first_when_it_stands_first(tmp_path: Path) -> None:
    (tmp_path / "task.yml").write_text("Dummy.dummy: {}\n")
    (tmp_path / "run.yml").write_text(
        "shaker: {file: openstack/perf_l2}\nrally: {scenarios: [{file: task.yml}]}\n"
    )

    workload = load_workload(tmp_path / "run.yml")

    assert [run.name for run in workload.ordered] == ["perf_l2", "task"]


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("openstack/full_l3_east_west", "openstack/full_l3_east_west"),
        ("networking/udp_l2.yaml", "openstack/udp_l2"),
        ("perf_l2", ""),
    ],
)
def test_shakers_own_scenarios_are_known_by_name(name: str, alias: str) -> None:
    assert alias_of(name) == alias


def test_hosts_of_two_groups_are_paired_on_the_tunnel_network() -> None:
    placed = agents(("core", "edge"), TESTBED)

    assert [(one.host, one.address, one.mode) for one in placed] == [
        ("control-1", "10.1.0.2", "primary"),
        ("compute-1", "10.1.0.3", "minion"),
    ]
    assert specification(placed)[0] == {
        "id": "1-primary-control-1",
        "ip": "10.1.0.2",
        "mode": "primary",
        "node": "control-1",
        "minion_id": "1-minion-compute-1",
    }


def test_a_role_with_itself_pairs_its_halves() -> None:
    placed = agents(("compute", "edge"), TESTBED, "api")

    assert [one.host for one in placed] == ["compute-1", "compute-2"]
    assert placed[1].address == "10.0.0.4"


@pytest.mark.parametrize(
    ("between", "network", "words"),
    [
        (("core", "egde"), "", "names `egde`"),
        (("core", "control-1"), "", "no two different hosts"),
        (("core", "edge"), "storage", "no network `storage`"),
    ],
)
def test_nodes_that_are_not_there_are_refused(
    between: tuple[str, str], network: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        agents(between, TESTBED, network)


def test_figures_come_from_samples_and_from_iperf3() -> None:
    told = found(json.loads(OUTPUT.read_text()))

    known = {(one.test, one.metric): one for one in told.measures}
    assert {one.place for one in told.measures} == {"node-1 to node-2"}
    assert not told.faults
    assert known["Ping", "rtt"].unit == "ms"
    assert known["Ping", "loss"].values == (0.0,)
    tcp = known["TCP", "sent"]
    assert tcp.mean == pytest.approx(sum(tcp.values) / len(tcp.values), rel=0.01)
    assert known["TCP", "throughput"].mean == pytest.approx(tcp.mean, rel=0.05)
    sent, loss = known["UDP", "sent"], known["UDP", "loss"]
    assert sent.mean == pytest.approx(5, rel=0.05)
    assert loss.unit == "%"
    assert known["UDP", "throughput"].mean == pytest.approx(sent.mean, rel=0.1)


def test_a_lost_agent_and_a_missed_sla_are_faults() -> None:
    output = json.loads(OUTPUT.read_text())
    for record in output["records"].values():
        if record["test"] == "TCP":
            record["status"] = "lost"
        if record["test"] == "UDP":
            record |= {"status": "error", "info": "unable to connect to server"}
    output["sla"] = [
        {"record": "1", "test": "Ping", "state": "OK", "expression": "(a < 2)"},
        {"record": "2", "test": "Ping", "state": "FAIL", "expression": "(a < 2)"},
    ]

    told = found(output)

    assert told.faults == (
        "`TCP` node-1 to node-2: the agent was lost",
        "`UDP` node-1 to node-2: unable to connect to server",
    )
    assert [(sla.criterion, sla.ok) for sla in told.slas] == [("Ping: (a < 2)", False)]


def test_the_result_of_a_scenario_whose_agents_never_joined_says_so(
    tmp_path: Path,
) -> None:
    run = ShakerRun(key="1", name="link", where=Where.NODES)
    said = "Error while executing scenario: Agents failed to join: {'a': 'lost'}"
    record = {"id": "x", "status": "error", "stderr": said}
    (tmp_path / "shaker.json").write_text(json.dumps({"records": {"x": record}}))
    outcome = {"error": "", "seconds": 60.0, "lost": ["1-minion-node-2"]}
    (tmp_path / "outcome.json").write_text(json.dumps(outcome))

    told = result(run, tmp_path)

    assert not told.ok
    assert told.verdict == f"did not run: {said}"
    assert "the agent 1-minion-node-2 ended by itself" in told.faults


def test_a_gap_stands_until_there_is_an_outcome(tmp_path: Path) -> None:
    run = ShakerRun(key="1", name="link", where=Where.NODES)
    gap = {"error": "Heat is not deployed", "seconds": 0}
    (tmp_path / "gap.json").write_text(json.dumps(gap))
    assert result(run, tmp_path).error == "Heat is not deployed"

    (tmp_path / "shaker.json").write_text(OUTPUT.read_text())
    (tmp_path / "outcome.json").write_text('{"error": "", "seconds": 20}')
    assert result(run, tmp_path).ok


def test_a_run_that_goes_on_tries_again_what_could_not_be_run(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(MINE)
    (tmp_path / "run.yml").write_text("shaker: {file: openstack/perf_l2}\n")
    load, results = load_workload(tmp_path / "run.yml"), tmp_path / "results"
    bench = Bench(
        host=TESTBED.hosts[0],
        cache=tmp_path,
        shell=RecordingShell(strict=True),
        progress=RecordingProgress(),
    )
    asked = []

    def no_guests() -> Guests:
        asked.append("Heat")
        raise CapabilityError("Heat is not deployed")

    setting = Setting(testbed=TESTBED, spec={}, guests=no_guests)
    for _ in range(2):
        (told,) = run_workload(
            load,
            bench,
            spec={},
            results=results,
            traffic=Traffic(bench=bench, setting=setting),
        )
        assert told.error == "Heat is not deployed"

    assert asked == ["Heat", "Heat"]


def test_what_cannot_be_fetched_for_guests_or_asked_of_nodes_is_gone_on_with(
    tmp_path: Path,
) -> None:
    def no_packages() -> Guests:
        raise ProcessError("Shaker's agent cannot be had: `uv` failed", details="dns")

    shell, progress = RecordingShell(), RecordingProgress()
    shell.on("ssh *", returncode=255, stderr="ssh: No route to host")
    bench = Bench(host=TESTBED.hosts[0], cache=tmp_path, shell=shell, progress=progress)
    setting = Setting(testbed=TESTBED, spec={}, guests=no_packages)
    traffic = Traffic(bench=bench, setting=setting)
    inside = ShakerRun(key="1", name="inside", where=Where.GUESTS)
    between = ShakerRun(
        key="2",
        name="between",
        where=Where.NODES,
        between=("core", "edge"),
        programs=("iperf3",),
    )

    traffic.check((inside, between))

    agent, route = progress.warnings
    said = "Shaker's agent cannot be had: `uv` failed; dns"
    assert agent == f"`inside` cannot be run: {said}"
    assert route.endswith("No route to host")
    assert traffic.gaps == {}
    for run, why in ((inside, "`uv` failed"), (between, "status 255")):
        with pytest.raises(ProcessError, match=why):
            traffic.play(run, tmp_path / run.key)


def test_a_node_briefly_out_of_reach_does_not_make_a_run_final(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(MINE)
    text = "shaker: {file: mine.yml, between: [core, edge]}\n"
    (tmp_path / "run.yml").write_text(text)
    load = load_workload(tmp_path / "run.yml")
    root, now = tmp_path / "results", datetime(2026, 1, 1, tzinfo=UTC)
    results = run_folder(root, load, now)
    shell = RecordingShell()
    shell.on("ssh *", returncode=255, stderr="ssh: No route to host")
    bench = Bench(
        host=TESTBED.hosts[0],
        cache=tmp_path,
        shell=shell,
        progress=RecordingProgress(),
    )

    def no_guests() -> Guests:
        raise CapabilityError("Heat is not deployed")

    setting = Setting(testbed=TESTBED, spec={}, guests=no_guests)
    with pytest.raises(ProcessError, match="255"):
        run_workload(
            load,
            bench,
            spec={},
            results=results,
            traffic=Traffic(bench=bench, setting=setting),
        )

    assert "No route to host" in (results / CUT).read_text()
    assert "No route to host" in (results / DONE).read_text()
    assert run_folder(root, load, now + timedelta(days=1)) == results


def test_why_agents_could_not_be_followed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Call) -> Answer:
        raise OSError(28, "No space left on device")

    shell, progress = RecordingShell(), RecordingProgress()
    shell.script("ssh *node.py*", full)
    monkeypatch.setattr(nodes, "_place", lambda *_: PurePosixPath("python"))
    bench = Bench(host=TESTBED.hosts[0], cache=tmp_path, shell=shell, progress=progress)
    placed = agents(("core", "edge"), TESTBED, "")

    with (
        pytest.raises(BenchmarkError, match="did not start") as told,
        nodes.running(placed, TESTBED, bench, endpoint="c:1", logs=tmp_path),
    ):
        pass

    assert "No space left on device" in told.value.details


def test_agents_that_do_not_end_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def stays(_: Call) -> Answer:
        over.wait(60)
        return Answer()

    shell, progress = RecordingShell(), RecordingProgress()
    shell.script("ssh *node.py*", stays)
    monkeypatch.setattr(nodes, "_place", lambda *_: PurePosixPath("python"))
    monkeypatch.setattr(nodes, "_READY", 0.01)
    bench = Bench(host=TESTBED.hosts[0], cache=tmp_path, shell=shell, progress=progress)
    placed = agents(("core", "edge"), TESTBED, "")

    try:
        with (
            pytest.raises(BenchmarkError, match="did not start"),
            nodes.running(placed, TESTBED, bench, endpoint="c:1", logs=tmp_path),
        ):
            pass
    finally:
        over.set()

    assert [told.partition(" did not")[0] for told in progress.warnings] == [
        "the agents on `control-1`",
        "the agents on `compute-1`",
    ]


def test_a_garbled_line_of_a_node_is_kept_as_its_last_words() -> None:
    watched = nodes.Watched(host=TESTBED.hosts[0])
    watched.line('{"event": "rea')
    watched.line('{"event": "lost", "agent": "a"}')

    assert watched.last == '{"event": "rea'
    assert watched.lost == ["a"]


def test_each_run_has_a_folder_of_its_own_on_the_bench_host(tmp_path: Path) -> None:
    run = ShakerRun(key="1-link", name="link", where=Where.NODES)
    first = folder_of(run, tmp_path / "bench-1" / "01-link")

    assert folder_of(run, tmp_path / "bench-1" / "01-link") == first
    assert folder_of(run, tmp_path / "bench-2" / "01-link") != first


def test_a_password_is_kept_out_of_messages_and_of_tracebacks() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root, before = logging.getLogger(), logging.getLogger().handlers
    root.handlers = [handler]
    try:
        runner._hide(["s3cret", ""])
        try:
            int("s3cret")
        except ValueError:
            logging.getLogger("shaker").exception("login of %s", "s3cret")
    finally:
        root.handlers = before

    assert "login of ***" in out.getvalue()
    assert "with base 10: '***'" in out.getvalue()
    assert "s3cret" not in out.getvalue()


def test_a_node_out_of_reach_does_not_hide_why_a_scenario_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_: Call) -> Answer:
        raise ProcessError("`ssh` did not end within 60 s")

    shell, progress = RecordingShell(), RecordingProgress()
    shell.on("ssh *node.py*", stdout='{"event": "foreign"}\n{"event": "ready"}\n')
    shell.script("ssh *rm -f *", unreachable)
    monkeypatch.setattr(nodes, "_place", lambda *_: PurePosixPath("python"))
    bench = Bench(host=TESTBED.hosts[0], cache=tmp_path, shell=shell, progress=progress)
    placed = agents(("core", "edge"), TESTBED, "")

    with (
        pytest.raises(BenchmarkError, match="Shaker ended"),
        nodes.running(placed, TESTBED, bench, endpoint="c:1", logs=tmp_path),
    ):
        raise BenchmarkError("Shaker ended")

    names = sorted({one.host for one in placed})
    foreign, *others = progress.warnings
    assert all(f"`{name}`" in foreign for name in names)
    assert "an iperf3 server of somebody else" in foreign
    assert sorted(told.split("`")[1] for told in others) == names


def test_an_iperf3_that_cannot_start_is_given_up_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended:
        returncode = 1

        def poll(self) -> int:
            return self.returncode

    starts, told = [], []

    def start(_: Path) -> Ended:
        starts.append(1)
        return Ended()

    def tell(event: str, **more: object) -> None:
        told.append((event, more))
        (tmp_path / "token").unlink(missing_ok=True)

    (tmp_path / "token").write_text("mine")
    monkeypatch.setattr(node, "_iperf3", start)
    monkeypatch.setattr(node, "tell", tell)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    started: dict[str, Any] = {"iperf3": Ended()}

    node._stay(tmp_path, "mine", started)

    assert len(starts) == 5
    assert told == [("lost", {"agent": "iperf3", "status": 1})]
    assert started == {}


def test_pairs_on_the_same_computes_are_told_apart() -> None:
    output = json.loads(OUTPUT.read_text())
    (primary,) = (a for a in output["agents"].values() if a["mode"] == "primary")
    output["agents"]["2-primary-node-1"] = {**primary, "id": "2-primary-node-1"}
    first = next(r for r in output["records"].values() if r["test"] == "Ping")
    output["records"]["again"] = {**first, "agent": "2-primary-node-1"}

    told = found(output)

    labels = [one.label for one in told.measures if one.metric == "rtt"]
    assert labels == ["Ping, node-1 to node-2 #1", "Ping, node-1 to node-2 #2"]


def test_rows_and_summary_hold_values_and_statistics(tmp_path: Path) -> None:
    (tmp_path / "shaker.json").write_text(OUTPUT.read_text())
    outcome = {"error": "", "seconds": 20.0, "began": 5.0}
    (tmp_path / "outcome.json").write_text(json.dumps(outcome))
    told = result(ShakerRun(key="1", name="link", where=Where.NODES), tmp_path)

    (line,) = summary([told])
    text = as_csv([told])

    assert told.ok
    assert told.verdict == "4 tests gave figures"
    assert text.count('"link: TCP, node-1 to node-2",1,throughput,') == 1
    measure = next(one for one in line["measures"] if one["metric"] == "rtt")
    assert measure["count"] == 10
    assert measure["min"] <= measure["median"] <= measure["p95"] <= measure["max"]


def test_the_page_needs_no_network(tmp_path: Path, golden: Golden) -> None:
    output = json.loads(OUTPUT.read_text())
    (tmp_path / "shaker.json").write_text(OUTPUT.read_text())
    (tmp_path / "outcome.json").write_text('{"error": "", "seconds": 20}')
    told = result(ShakerRun(key="1", name="<link>", where=Where.NODES), tmp_path)

    text = page(told, output)

    assert "://" not in text
    assert "&lt;link&gt;" in text
    golden("bench/shaker.html", text)


def test_a_short_last_interval_weighs_as_long_as_it_lasted() -> None:
    whole, mean = weighted([1.0, 2.0, 2.01], [10.0, 20.0, 1000.0])

    assert whole == (10.0, 20.0)
    assert mean == pytest.approx((10 + 20 + 10) / 2.01)
    assert weighted([], []) == ((), None)


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=30))
def test_statistics_are_in_order(values: list[float]) -> None:
    told = Measure(test="t", place="p", metric="m", values=tuple(values)).statistics

    assert told["count"] == len(values)
    order = [told["min"], told["median"], told["p95"], told["max"]]
    numbers = [one for one in order if isinstance(one, float)]
    assert len(numbers) == 4
    assert all(b >= a or b == pytest.approx(a) for a, b in pairwise(numbers))
    assert len(points(values).split()) == (len(values) if len(values) > 1 else 0)


def test_options_and_credentials_keep_the_password_off_the_command_line() -> None:
    admin = {
        "username": "admin",
        "password": "secret",
        "project_name": "admin",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    spec = {"existing@openstack": {"auth_url": "http://a:5000/v3", "admin": admin}}
    run = ShakerRun(key="0123-2", name="x", where=Where.GUESTS, flavor="m1.small")
    guests = Guests(image="enos-shaker", flavor="m1.tiny", network="public")

    listed = options(run, guests, "10.0.0.2")

    assert listed[:2] == ["--server-endpoint", f"10.0.0.2:{PORT}"]
    assert listed[listed.index("--flavor-name") + 1] == "m1.small"
    assert listed[listed.index("--stack-name") + 1] == "shaker_0123_2"
    assert "secret" not in " ".join(listed)
    assert credentials(spec)["OS_PASSWORD"] == "secret"
    assert "OS_INSECURE" not in credentials(spec)


def test_the_stand_in_for_flent_counts_lost_echoes_and_both_directions() -> None:
    series = flent.per_step([(0.1, 2.0), (0.6, 4.0), (1.2, None)], [1.0, 2.0, 3.0])
    report = {
        "intervals": [
            {
                "sum": {"end": 1.0, "bits_per_second": 2e6},
                "sum_bidir_reverse": {"end": 1.0, "bits_per_second": 3e6},
            }
        ]
    }

    ends, both = flent.rates(report, "tcp_bidirectional")

    assert series == {flent.RTT: [3.0, None, None], flent.LOSS: [0.0, 100.0, None]}
    assert ends == [1.0]
    assert both == {flent.UP: [2.0], flent.DOWN: [3.0]}
    assert flent.checksum(b"\x08\x00\xf7\xff") == 0
