"""What Shaker's scenarios need of an experiment: nodes, Heat, an image for guests."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from enos import netem
from enos.bench.environment import AGENT, Interpreter, packages
from enos.bench.host import Bench
from enos.bench.shaker.execution import Traffic
from enos.bench.shaker.nodes import FLENT
from enos.bench.shaker.setting import Guests, Setting
from enos.bench.workload import Workload
from enos.cloud.agentguest import PYTHON, agent_image
from enos.cloud.converge import upload
from enos.cloud.download import downloaded_image
from enos.cloud.guest import GuestImage
from enos.cloud.plan import PUBLIC
from enos.cloud.rest import connect
from enos.errors import CapabilityError
from enos.phases.session import Session
from enos.testbed import Network

FLAVOR = "m1.tiny"
HEAT = "orchestration"


def traffic(
    session: Session, workload: Workload, bench: Bench, spec: Mapping[str, Any]
) -> Traffic:
    """Return what plays a workload's Shaker scenarios; nothing is touched yet."""
    source = _Source(session=session, workload=workload)
    setting = Setting(testbed=session.testbed, spec=spec, guests=source.guests)
    return Traffic(bench=bench, setting=setting)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    session: Session
    workload: Workload

    def guests(self) -> Guests:
        """Make an image ready that guests boot; see `Setting.guests`."""
        session = self.session
        cloud = connect(session.directory.kolla / "clouds.yaml")
        if not cloud.offers(HEAT):
            raise CapabilityError(
                "Heat is not deployed, which makes the guests",
                hint="set `enable_heat: true` under `kolla:`, then "
                "`enos os --reconfigure`",
            )
        external = session.testbed.network("external")
        if external is None:
            raise CapabilityError(
                "there is no external network, by which guests reach Shaker",
                hint="give a network of the testbed the role `external`",
            )
        named = {run.image for run in self.workload.shaker} - {""}
        image = None if named else self._image()
        if image is not None:
            upload(image, cloud, session.progress)
        return Guests(
            image=image.name if image else "",
            flavor=FLAVOR,
            network=PUBLIC,
            relay=self._relay(external),
            names=external.dns,
        )

    def _image(self) -> GuestImage:
        session, wanted = self.session, self.workload.image
        if wanted is not None:
            return downloaded_image(
                wanted.url, wanted.checksum, session.cache, session.progress
            )
        agent = packages(
            Interpreter(version=PYTHON, machine="x86_64"),
            session.cache,
            session.shell,
            session.progress,
            tool=AGENT,
        )
        return agent_image(
            agent.archive,
            FLENT.read_bytes(),
            session.cache,
            session.shell,
            session.progress,
        )

    def _relay(self, external: Network) -> str:
        """Return this machine's own address on the network guests go out by."""
        cidr = ip_network(external.cidr)
        own = netem.controller_addresses(self.session.shell)
        return next((one for one in own if ip_address(one) in cidr), "")
