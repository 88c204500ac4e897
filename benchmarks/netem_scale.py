"""What network emulation costs as hosts multiply. Needs root; prints Markdown.

- planning 1 000 hosts in 10 groups (goal: under 1 s);
- applying one host's share of it, a class for each of 1 000 destinations (under 1 s);
- sending a packet past 1 000 rules against past one (within 20 %).
"""

import statistics
import time

from enos.config.constraints import NetworkConstraints
from enos.netem import Backend, commands, plan_emulation
from enos.remote import run_on
from enos.testbed import Host, Network, Nic, Testbed
from enos.testing.namespaces import NamespaceTestbed
from enos.units import Duration, Rate

NETWORK = Network(name="api", cidr="10.99.0.0/16", roles=("api",))
ASKED = NetworkConstraints(
    default_delay=Duration(ms=10), default_rate=Rate.parse("10gbit")
)
SENDER = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
target = (sys.argv[1], 9)
for _ in range(5000): s.sendto(b"x", target)
began = time.perf_counter()
for _ in range(50000): s.sendto(b"x", target)
print((time.perf_counter() - began) / 50000 * 1e6)
"""


def crowd(number: int, groups: int) -> Testbed:
    hosts = []
    for place in range(number):
        address = f"10.99.{place // 250}.{place % 250 + 1}/16"
        nic = Nic(device="eth0", network="api", addresses=(address,))
        name, group = f"node-{place + 1}", f"grp{place % groups}"
        hosts.append(Host(name=name, address=name, groups=(group,), nics=(nic,)))
    return Testbed(provider="crowd", hosts=tuple(hosts), networks=(NETWORK,))


def main() -> None:
    bed = crowd(1000, 10)
    began = time.perf_counter()
    plan_emulation(ASKED, bed)
    print(f"- plan of 1 000 hosts in 10 groups: {time.perf_counter() - began:.3f} s")
    with NamespaceTestbed(groups=("grp0", "grp1"), prefix="enos-bench") as net:
        apply_and_send(net)


def apply_and_send(net: NamespaceTestbed) -> None:
    sender = net.testbed.hosts[0]
    scripts = {
        number: commands(
            plan_emulation(ASKED, crowd(number + 1, number + 1)), Backend.USER_SPACE
        )["node-1"].script
        for number in (1, 1000)
    }
    costs: dict[int, list[float]] = {1: [], 1000: []}
    seconds = []
    for _ in range(5):
        for number, found in costs.items():
            began = time.perf_counter()
            run_on(net.shell, sender, ("sh", "-s"), stdin=scripts[number])
            if number > 1:
                seconds.append(time.perf_counter() - began)
            done = run_on(
                net.shell, sender, ("python3", "-", "10.99.0.2"), stdin=SENDER
            )
            found.append(float(done.stdout))
    print(f"- apply 1 000 classes on a host: {statistics.median(seconds):.3f} s")
    one, many = (statistics.median(found) for found in costs.values())
    print(
        f"- send a packet past 1 rule {one:.2f} us, past 1 000 rules {many:.2f} us "
        f"({100 * (many / one - 1):+.1f} %)"
    )


if __name__ == "__main__":
    main()
