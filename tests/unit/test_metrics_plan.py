"""What every machine gets, what is told to the database, what is missing of a span."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from enos.config.experiment import load_experiment
from enos.config.monitoring import Monitoring
from enos.errors import ConfigError, MonitoringError
from enos.metrics import accounts, annotations, gaps
from enos.metrics.plan import (
    AGENT,
    PLACE,
    MonitoringPlan,
    as_lines,
    plan_monitoring,
    service_files,
)
from enos.metrics.series import Series
from enos.phases import check
from enos.provider import Provider
from enos.testbed import Host, Network, Nic, Testbed

Golden = Callable[[str, str], None]
PASSWORD = "not-for-your-eyes"


def node(number: int, name: str, *roles: str) -> Host:
    nic = Nic(device="eth0", network="api", addresses=(f"10.0.0.{number}/24",))
    return Host(name=name, address=f"192.0.2.{number}", roles=roles, nics=(nic,))


def bed(*hosts: Host) -> Testbed:
    network = Network(name="api", cidr="10.0.0.0/24", roles=("api",))
    return Testbed(provider="t", hosts=hosts, networks=(network,))


BED = bed(node(2, "control-1", "control"), node(3, "compute-1", "compute"))


def planned(testbed: Testbed = BED) -> MonitoringPlan:
    return plan_monitoring(testbed, Monitoring(interval=10), password=PASSWORD)


def test_the_files_of_every_machine_are_those_of_the_golden_file(
    golden: Golden,
) -> None:
    parts = [*as_lines(planned()), ""]
    for one in planned().hosts:
        for path, file in one.files.items():
            if "/python/" not in path:
                parts += [f"=== {one.host.name}:{path} {file.mode:04o}", file.text]

    golden("metrics/files.txt", "\n".join(parts))


def test_the_plan_for_people_does_not_tell_the_password() -> None:
    assert PASSWORD not in "\n".join(as_lines(planned()))
    assert PASSWORD not in repr(planned())


def test_only_private_files_hold_the_password() -> None:
    files = [file for one in planned().hosts for file in one.files.values()]

    assert {file.mode for file in files if PASSWORD in file.text} == {0o600}


@pytest.mark.parametrize(
    ("roles", "chosen"),
    [
        (("control", "bench", "monitoring"), "monitoring"),
        (("control", "bench"), "bench"),
        (("compute", "control"), "control"),
    ],
)
def test_the_database_is_where_the_roles_say(
    roles: tuple[str, ...], chosen: str
) -> None:
    hosts = [node(number, role, role) for number, role in enumerate(roles, 2)]

    assert planned(bed(*hosts)).database.name == chosen


def test_without_a_fitting_role_there_is_no_plan() -> None:
    with pytest.raises(ConfigError, match="keep the measures"):
        planned(bed(node(2, "a", "compute")))


def test_the_agents_program_is_complete_and_imports_only_itself() -> None:
    (plan,) = (one for one in planned().hosts if one.host.name == "compute-1")
    modules = {
        path.removeprefix(f"{PLACE}/python/"): file.text
        for path, file in plan.files.items()
        if "/python/" in path
    }
    imported = {
        line.split()[1].replace(".", "/") + ".py"
        for text in modules.values()
        for line in text.splitlines()
        if line.startswith("from enos")
    }

    assert plan.units == (AGENT,)
    assert imported
    assert imported <= modules.keys()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ()),
        (
            "enable_monitoring: true",
            (
                "",
                "# monitoring",
                "InfluxDB on control-1: http://10.0.0.2:8086, a sample every 5 s",
                "measures are kept on control-1 (role `control`)",
            ),
        ),
        (
            "enable_monitoring: true\nmonitoring: {interval: 1500ms, port: 9}",
            (
                "",
                "# monitoring",
                "InfluxDB on control-1: http://10.0.0.2:9, a sample every 1.5 s",
                "measures are kept on control-1 (role `control`)",
            ),
        ),
    ],
)
def test_a_check_tells_where_measures_would_go(
    text: str,
    told: tuple[str, ...],
    tmp_path: Path,
    providers: Mapping[str, type[Provider]],
) -> None:
    file = tmp_path / "a.yml"
    file.write_text(f"{text}\nresources: {{control: 1}}\n")
    experiment = load_experiment(file, providers=providers)

    assert check.monitoring(experiment, BED) == told


@pytest.mark.parametrize("interval", ["0.5s", "1ms", "301s", "0"])
def test_an_interval_nobody_can_bear_is_refused(
    interval: str, tmp_path: Path, providers: Mapping[str, type[Provider]]
) -> None:
    file = tmp_path / "a.yml"
    file.write_text(
        "resources: {control: 1}\nenable_monitoring: true\n"
        f"monitoring: {{interval: {interval}}}\n"
    )

    with pytest.raises(ConfigError) as failed:
        load_experiment(file, providers=providers)
    assert "write 1s to 300s" in failed.value.details


def test_monitoring_without_enabling_it_is_a_warning(
    tmp_path: Path, providers: Mapping[str, type[Provider]]
) -> None:
    file = tmp_path / "a.yml"
    file.write_text("resources: {control: 1}\nmonitoring: {port: 9}\n")

    experiment = load_experiment(file, providers=providers)

    assert experiment.monitoring is None
    assert "has no effect without `enable_monitoring: true`" in experiment.warnings[0]


def test_agents_learn_the_accounts_of_the_services_on_their_machine_only() -> None:
    found = accounts.accounts(
        {"rabbitmq": ("control-1",), "memcached": ("control-1",), "mariadb": ()},
        {"rabbitmq_management_port": "25672"},
        {"rabbitmq_password": "r", "database_password": "d"},
    )
    told = service_files(BED, found)

    file = told["control-1"][f"{PLACE}/services.json"]
    assert file.mode == 0o600
    assert json.loads(file.text) == {
        "rabbitmq": {
            "address": "10.0.0.2",
            "port": 25672,
            "user": "openstack",
            "password": "r",
        },
        "memcached": {"address": "10.0.0.2", "port": 11211},
    }
    assert json.loads(told["compute-1"][f"{PLACE}/services.json"].text) == {}


def test_phases_scenarios_and_network_events_become_annotations() -> None:
    journal = [
        {"time": 1.5, "kind": "phase", "what": "os", "status": "started"},
        {
            "time": 2,
            "kind": "step",
            "what": "Heat",
            "phase": "os",
            "status": "finished",
        },
        {
            "time": 3,
            "kind": "step",
            "what": "boot, delete=2",
            "phase": "bench",
            "host": "control-1",
            "status": "finished",
            "seconds": 7,
        },
        {"time": 4, "kind": "event", "what": 'cut "a"|b', "status": "ok"},
        {"time": 5, "kind": "decision", "what": "no netem"},
    ]

    fields = 'status="finished",phase="bench",host="control-1",seconds=7.0'
    assert annotations.lines(journal) == (
        'events,kind=phase,what=os status="started" 1500',
        f"events,kind=scenario,what=boot\\,\\ delete\\=2 {fields} 3000",
        'events,kind=event,what=cut\\ "a"|b status="ok" 4000',
    )


def beats(host: str, *moments: float) -> Series:
    points = tuple((when, 0.5) for when in moments)
    return Series(measure="cpu", host=host, instance="", unit="cores", points=points)


def span(*hosts: str) -> gaps.Coverage:
    return gaps.Coverage(begin=100, end=160, interval=5, hosts=hosts)


def test_three_periods_without_a_sample_are_no_gap_and_more_are() -> None:
    whole = beats("a", 104, 119, 134, 149)
    holed = beats("b", 104, 119, 134.5, 149)

    assert gaps.find([whole], span("a")) == ()
    assert gaps.find([holed], span("b")) == (gaps.Gap(host="b", begin=119, end=134.5),)


def test_containers_that_are_not_sampled_are_a_gap_of_their_machine() -> None:
    machine = beats("a", *range(100, 161, 5))
    containers = replace(beats("a", 100, 105, 155, 160), measure="containers")

    (gap,) = gaps.find([machine, containers], span("a"))

    assert gap == gaps.Gap(host="a", begin=105, end=155, measure="containers")
    assert str(gap) == "a (containers): none for 50 s from 00:01:45 UTC"
    silent = gaps.find([containers], span("a"))
    assert [one.measure for one in silent] == ["cpu"]


def test_a_machine_that_came_later_has_no_gap_before_it_came() -> None:
    late = beats("late", *range(130, 161, 5))

    assert gaps.find([late], span("late"), {"late": 128.0, "gone": 1.0}) == ()
    assert len(gaps.find([late], span("late"))) == 1


def test_what_agents_lost_within_the_span_is_told_and_not_what_they_lost_before() -> (
    None
):
    def counted(measure: str, host: str, *values: float) -> Series:
        points = tuple(enumerate(values))
        return Series(
            measure=measure, host=host, instance="", unit="points", points=points
        )

    several = (
        counted("agent_dropped", "a", 50, 50),
        counted("agent_refused", "a", 0, 5000, 5000),
        counted("agent_dropped", "b", 7, 0, 2, 5),  # started again
        beats("a", 1, 2),
    )

    assert gaps.losses(several) == (
        "5000 points of a were refused by the database",
        "5 points of b were thrown away",
    )


def up(service: str, host: str, *values: float) -> Series:
    points = tuple((100.0 + 5 * n, value) for n, value in enumerate(values))
    return Series(
        measure="service_up", host=host, instance=service, unit="", points=points
    )


def test_services_that_never_answered_are_named_and_those_that_did_once_are_not() -> (
    None
):
    several = (
        beats("a", *range(100, 161, 5)),
        beats("b", *range(100, 161, 5)),
        up("rabbitmq", "a", 0, 0, 0),
        up("mariadb", "a", 0, 1, 0),
        up("haproxy", "c", 0, 0, 0),
    )
    wanted = {"a": ["mariadb", "memcached"], "b": ["mariadb"], "c": ["rabbitmq"]}

    assert gaps.silent(several, span("a", "b", "c"), wanted) == (
        "memcached on a never answered",
        "rabbitmq on a never answered",
        "mariadb on b never answered",
    )
    short = replace(span("a"), end=115)
    assert gaps.silent(several, short, wanted) == ()


def test_a_service_that_is_not_deployed_is_not_asked() -> None:
    found = accounts.accounts(
        {"loadbalancer": ("a",), "memcached": ("a",)}, {"enable_haproxy": "no"}, {}
    )

    assert {host: list(several) for host, several in found.items()} == {
        "a": ["memcached"]
    }


def test_machines_that_never_began_or_ended_early_have_gaps_to_the_ends() -> None:
    early = beats("early", *range(100, 131, 5))

    assert gaps.find([early], span("early", "never")) == (
        gaps.Gap(host="early", begin=130, end=160),
        gaps.Gap(host="never", begin=100, end=160),
    )


def test_missing_measures_are_an_error_that_names_them() -> None:
    found = gaps.find([], span("control-1"))
    missing = gaps.Coverage(
        begin=100, end=160, interval=5, hosts=("control-1",), gaps=found
    )

    with pytest.raises(MonitoringError, match="control-1: none for 60 s") as failed:
        missing.require()
    assert failed.value.exit_code == 14
    assert missing.to_json()["gaps"][0]["seconds"] == 60
    span("control-1").require()


def test_a_silent_database_is_an_error_that_says_so() -> None:
    silent = gaps.Coverage(
        begin=0, end=9, interval=5, hosts=(), problem="connection refused"
    )

    assert not silent.ok
    with pytest.raises(MonitoringError, match="connection refused"):
        silent.require()
