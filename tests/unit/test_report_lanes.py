import json
from dataclasses import asdict, replace

from enos.metrics.series import Series
from enos.report.lanes import MOST, USUAL, plots, wanted
from enos.report.readings import read


def series(
    measure: str, host: str = "control-1", instance: str = "", *, value: float = 1.0
) -> Series:
    return Series(
        measure=measure,
        host=host,
        instance=instance,
        unit="B/s" if measure.startswith("net") else "cores",
        points=((1.0, value), (2.0, value)),
    )


def test_lanes_come_in_their_order_and_only_when_there_is_something() -> None:
    found = plots([series("net_rx", instance="eth0"), series("cpu")])

    assert [(one.title, one.unit) for one in found] == [
        ("CPU", "cores"),
        ("Network, received", "B/s"),
    ]


def test_a_line_is_named_by_what_tells_it_from_the_others() -> None:
    cpu, containers = plots(
        [
            series("cpu", "control-1"),
            series("cpu", "compute-1"),
            series("container_cpu", "control-1", "nova_api"),
            series("container_cpu", "control-1", "mariadb"),
        ]
    )

    assert [line.label for line in cpu.lines] == ["control-1", "compute-1"]
    assert [line.label for line in containers.lines] == [
        "nova_api control-1",
        "mariadb control-1",
    ]


def test_the_traffic_of_a_machine_is_that_of_its_physical_interfaces() -> None:
    names = ("eth0", "enp3s0", "lo", "br-ex", "tap1f", "qvo12", "docker0")

    (network,) = plots([series("net_rx", instance=name, value=2.0) for name in names])

    (line,) = network.lines
    assert line.label == "control-1"
    assert line.points == ((1.0, 4.0), (2.0, 4.0))


def test_a_sum_is_only_where_all_of_it_was_sampled() -> None:
    half = replace(series("net_rx", instance="eth1"), points=((2.0, 5.0), (3.0, 5.0)))

    (network,) = plots([series("net_rx", instance="eth0"), half])

    assert network.lines[0].points == ((2.0, 6.0),)


def test_of_many_lines_the_greatest_are_drawn_and_the_title_says_so() -> None:
    many = [series("container_cpu", instance=f"c{n}", value=n) for n in range(40)]

    (lane,) = plots(many)

    assert lane.title == "CPU of containers (the 8 greatest, 32 left out)"
    assert len(lane.lines) == MOST
    assert [line.label for line in lane.lines][:2] == ["c32 control-1", "c33 control-1"]


def test_every_machine_has_its_line_however_many_there_are() -> None:
    hosts = [f"compute-{number}" for number in range(1, 31)]
    disks = [series("disk_write", host, "sda", value=1.0) for host in hosts]

    cpu, disk = plots([*(series("cpu", host) for host in hosts), *disks])

    assert (cpu.title, disk.title) == ("CPU", "Disk, written")
    assert [line.label for line in cpu.lines] == hosts
    assert [line.label for line in disk.lines] == hosts


def test_what_a_machine_writes_is_counted_once() -> None:
    whole = ("sda", "vdb", "nvme0n1", "mmcblk0", "dasda", "pmem0")
    parts = ("sda1", "vdb15", "nvme0n1p2", "mmcblk0p1", "dasda1", "md0", "md127p1")

    (disk,) = plots([series("disk_write", instance=name) for name in (*whole, *parts)])

    (line,) = disk.lines
    assert line.points[0] == (1.0, len(whole))


def test_any_measure_can_be_asked_for() -> None:
    assert wanted([]) == USUAL
    assert [one.title for one in wanted(["cpu", "haproxy_queue"])] == [
        "CPU",
        "haproxy_queue",
    ]


def test_lanes_that_were_kept_are_read_as_they_were() -> None:
    many = [series("container_cpu", instance=f"c{n}", value=n) for n in range(40)]
    drawn = plots([series("cpu"), series("net_rx", instance="eth0"), *many])

    found = read({"results/measures.json": json.dumps([asdict(one) for one in drawn])})

    assert found.plots == drawn
