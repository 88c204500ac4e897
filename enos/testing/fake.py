"""A testbed that is nowhere: `FakeProvider`, for tests of all that comes after `up`."""

from typing import ClassVar

from enos.demand import Demand, host_names
from enos.errors import ProviderError
from enos.provider import Check, Provider
from enos.remote import run_on
from enos.testbed import Host, Network, Nic, Testbed

NETWORKS = tuple(
    # Addresses for documentation (RFC 5737): nothing ever answers there.
    Network(
        name=name,
        cidr=f"{net}.0/24",
        roles=(name,),
        gateway=f"{net}.1",
        pool=(f"{net}.128", f"{net}.254"),
    )
    for name, net in (
        ("api", "192.0.2"),
        ("external", "198.51.100"),
        ("tunnel", "203.0.113"),
    )
)


class FakeProvider(Provider):
    """Hands out hosts that exist in memory and asks the shell whether each answers.

    With a `RecordingShell` nothing runs; script a failing answer to `ssh *192.0.2.3*`
    and that host is dead.
    """

    name: ClassVar[str] = "fake"
    sample: ClassVar[str] = (
        "provider: {type: fake}\nresources: {any: {control: 1, compute: 1}}\n"
    )

    def plan(self, demand: Demand) -> tuple[str, ...]:
        """See `Provider.plan`."""
        return tuple(f"node {name}" for name, _ in host_names(demand))

    def acquire(self, demand: Demand) -> Testbed:
        """See `Provider.acquire`."""
        hosts = tuple(
            Host(
                name=name,
                address=f"192.0.2.{number}",
                groups=(machine.group,),
                roles=machine.roles,
                nics=_nics(number),
            )
            for number, (name, machine) in enumerate(host_names(demand), 2)
        )
        for host in hosts:
            with self.around.progress.step("node", host=host.name):
                if not run_on(self.around.shell, host, ["true"], check=False).ok:
                    hint = "the test's shell answers for it"
                    raise ProviderError(f"{host.name}: no answer", hint=hint)
        return Testbed(provider=self.name, hosts=hosts, networks=NETWORKS)

    def release(self) -> None:
        """See `Provider.release`."""
        self.around.progress.decision("the hosts were never there")

    def checks(self) -> tuple[Check, ...]:
        """See `Provider.checks`."""
        return (Check(name="memory", ok=True, found="enough to imagine"),)


def _nics(number: int) -> tuple[Nic, ...]:
    return tuple(
        Nic(
            device=f"eth{position}",
            network=network.name,
            addresses=(f"{network.cidr.removesuffix('0/24')}{number}/24",),
        )
        for position, network in enumerate(NETWORKS)
    )
