"""Machines that are there already: all enos needs is SSH."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.resources import files
from typing import ClassVar, cast

from pydantic import ValidationError

from enos.demand import Demand, MachineDemand, host_names
from enos.errors import CapabilityError, ConfigError, ProcessError, ProviderError
from enos.process import Completed
from enos.provider import Check, Provider, ProviderSettings
from enos.remote import PARALLEL, run_on
from enos.testbed import Host, Network, Testbed
from enos_static import reach, remembered
from enos_static.settings import ROLES, Machine, Settings, StaticNetwork

LOOK = ("ip", "-json", "addr")
SECONDS = 60.0


class Static(Provider):
    """Machines the user names, reached by SSH; they are left running."""

    name: ClassVar[str] = "static"
    keeps: ClassVar[bool] = True
    Settings: ClassVar[type[ProviderSettings]] = Settings
    Machine: ClassVar[type[ProviderSettings]] = Machine
    sample: ClassVar[str] = (files("enos_static") / "sample.yml").read_text("utf-8")

    def plan(self, demand: Demand) -> tuple[str, ...]:
        """See `Provider.plan`."""
        return (
            *(f"network {n.name}: {n.cidr}" for n in self._networks()),
            *(
                f"node {host.name}: {host.user}@{host.address}:{host.port}"
                + (f" via {host.jump}" if host.jump else "")
                + f", group {host.groups[0]}, roles {', '.join(host.roles)}"
                for host in hosts(demand)
            ),
        )

    def acquire(self, demand: Demand) -> Testbed:
        """Return the machines, all of which answer as root.

        Raises ProviderError that tells of every machine that does not.
        """
        asked = hosts(demand)
        networks = self._networks()
        with ThreadPoolExecutor(min(PARALLEL, max(1, len(asked)))) as pool:
            looks = tuple(pool.map(self._look, asked))
        troubles = [str(look) for look in looks if isinstance(look, reach.Trouble)]
        if troubles:
            raise _unusable(troubles, len(asked))
        before = remembered.read(self.around.directory)
        found = tuple(
            remembered.carried(
                _with_nics(host, look.stdout, networks), before, networks
            )
            for host, look in zip(asked, looks, strict=True)
            if isinstance(look, Completed)
        )
        testbed = self._testbed(found, networks)
        remembered.write(self.around.directory, remembered.together(testbed, before))
        return testbed

    def release(self) -> None:
        """Give Neutron's interfaces their addresses back; the machines are the user's.

        What cannot be given back is told and does not keep the others.
        """
        before = remembered.read(self.around.directory)
        for one in remembered.restorations(before) if before else ():
            self._restore(one)
        remembered.forget(self.around.directory)
        self.around.progress.decision("the machines are yours: they are left running")

    def checks(self) -> tuple[Check, ...]:
        """See `Provider.checks`."""
        try:
            said = self.around.shell.run(["ssh", "-V"], check=False)
        except CapabilityError:
            fix = "sudo apt-get install openssh-client"
            return (Check(name="SSH client", ok=False, found="not found", fix=fix),)
        version = (said.stderr or said.stdout).partition(",")[0].strip()
        return (Check(name="SSH client", ok=True, found=version),)

    @classmethod
    def without_external(
        cls, settings: ProviderSettings, demand: Demand
    ) -> frozenset[str]:
        """See `Provider.without_external`; which has an address there is seen later."""
        networks = cast("Settings", settings).networks
        if any("external" in network.roles for network in networks):
            return frozenset()
        return frozenset(
            name
            for name, machine in host_names(demand)
            if remembered.EXTERNAL not in _host(name, machine).extra
        )

    def _look(self, host: Host) -> Completed | reach.Trouble:
        with self.around.progress.step("SSH", host=host.name) as step:
            step.awaiting(f"{host.name}: sshd")
            wrong = reach.key_trouble(host)
            if wrong:
                return wrong
            done = self._run(host, LOOK)
            return reach.trouble(host, done) or done

    def _run(self, host: Host, command: tuple[str, ...]) -> Completed:
        """Run a command to its end, or tell of a machine that hangs as SSH would."""
        try:
            return run_on(
                self.around.shell, host, command, check=False, timeout=SECONDS
            )
        except ProcessError as late:  # sshd took the connection, and then nothing
            return Completed(
                argv=command,
                returncode=reach.SSH_FAILED,
                stderr=f"it hangs: {late.message}",
                seconds=SECONDS,
            )

    def _restore(self, wanted: remembered.Restoration) -> None:
        host, progress = wanted.host, self.around.progress
        done = self._run(host, wanted.command)
        if not done.ok:
            said = done.stderr.strip() or f"status {done.returncode}"
            progress.warn(
                f"{host.name}: `{wanted.device}` does not get "
                f"{', '.join(wanted.addresses)} back: {said}"
            )
        elif done.stdout.strip():
            back = ", ".join(done.stdout.split())
            progress.decision(
                f"{host.name}: `{wanted.device}` has {back} again; routes over it do "
                "not come back by themselves"
            )

    def _networks(self) -> tuple[Network, ...]:
        settings = cast("Settings", self.settings)
        return tuple(_network(network) for network in settings.networks)

    def _testbed(self, found: tuple[Host, ...], given: tuple[Network, ...]) -> Testbed:
        networks = given
        if not given:
            own = reach.own_network(found)
            if own is None:
                message = "the machines share no subnet SSH connects to"
                hint = "name their networks: `provider: {networks: [{cidr, roles}]}`"
                raise ProviderError(message, hint=hint)
            self.around.progress.decision(f"no networks are named: take {own.cidr}")
            networks = (own,)
            found = tuple(reach.on_network(host, own) for host in found)
        for host in found:
            self._tell_missing(host, networks)
        return Testbed(provider=self.name, hosts=found, networks=networks)

    def _tell_missing(self, host: Host, networks: tuple[Network, ...]) -> None:
        for network in networks:
            if host.nic_on(network.name) is None and not _named(host, network):
                self.around.progress.warn(
                    f"{host.name} has no address in {network.cidr} ({network.name}): "
                    "name the interface in its `extra` if it has one without address"
                )


def hosts(demand: Demand) -> tuple[Host, ...]:
    """Return the hosts a demand writes out, before any was looked at.

    Raises ConfigError for keys a machine does not have, ProviderError when two
    machines share a name.
    """
    found = tuple(_host(name, machine) for name, machine in host_names(demand))
    counted = Counter(host.name for host in found)
    twice = [name for name, number in counted.items() if number > 1]
    if twice:
        message = f"two machines are called `{twice[0]}`"
        raise ProviderError(message, hint="give each its own `alias`")
    return found


def _host(name: str, demand: MachineDemand) -> Host:
    try:
        machine = Machine.model_validate(dict(demand.extra))
    except ValidationError as wrong:
        first = wrong.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        hint = "write each machine as `{address: 10.0.0.1, user: root}`"
        message = f"machine {name} of group `{demand.group}`: {where}: {first['msg']}"
        raise ConfigError(message, hint=hint) from None
    return Host(
        name=machine.alias or name,
        address=machine.address,
        user=machine.user,
        port=machine.port,
        key=machine.keyfile.expanduser().absolute() if machine.keyfile else None,
        jump=machine.jump,
        sudo=machine.user != "root" if machine.sudo is None else machine.sudo,
        groups=(demand.group,),
        roles=demand.roles,
        extra=machine.extra,
    )


def _network(given: StaticNetwork) -> Network:
    pool = (str(given.start), str(given.end)) if given.start and given.end else None
    return Network(
        name=given.name or given.roles[0],
        cidr=str(given.cidr),
        roles=given.roles,
        gateway=str(given.gateway or ""),
        pool=pool,
        dns=given.dns,
    )


def _with_nics(host: Host, ip_json: str, networks: tuple[Network, ...]) -> Host:
    return replace(host, nics=reach.interfaces(ip_json, networks))


def _named(host: Host, network: Network) -> bool:
    return any(ROLES[key] in network.roles for key in host.extra if key in ROLES)


def _unusable(troubles: list[str], number: int) -> ProviderError:
    message = f"{len(troubles)} of {number} machines cannot be used"
    hint = "try `ssh` with the same user, port and key by hand; then run this again"
    return ProviderError(message, hint=hint, details="\n".join(troubles))
