"""`enos init`: what a deployed OpenStack needs, proved by a guest that answers."""

import json
import shutil
from dataclasses import asdict

from enos.cloud.converge import CloudFacts, converge
from enos.cloud.download import downloaded_image
from enos.cloud.guest import GuestImage, guest_image
from enos.cloud.plan import CloudPlan, lines, plan_cloud
from enos.cloud.readiness import await_agents
from enos.cloud.rest import Cloud, connect
from enos.cloud.smoke import READY, Request, Smoke, smoke, vantages
from enos.errors import CloudError
from enos.phases.session import Session, phase
from enos.phases.tc import vips
from enos.state.directory import write_atomically

CONSOLE, GUEST = "guest-console.log", "guest.json"


def plan(session: Session) -> tuple[str, ...]:
    """Return what would be created, a line each."""
    return lines(planned(session, guest(session)))


def planned(session: Session, image: GuestImage) -> CloudPlan:
    """Return all that the cloud is to hold."""
    testbed, directory = session.testbed, session.directory
    known = vips(directory.kolla, testbed)
    return plan_cloud(
        testbed,
        (image,),
        public_key=_public_key(session),
        reserved=tuple(vip.address for vip in known),
    )


def guest(session: Session) -> GuestImage:
    """Return the image guests boot: the user's, or the one enos builds."""
    wanted = session.experiment.guest_image
    if wanted is None:
        return guest_image(session.cache, session.shell, session.progress)
    return downloaded_image(
        wanted.url,
        wanted.checksum,
        session.cache,
        session.progress,
        user=wanted.user,
    )


def run(session: Session) -> None:
    """Create what is missing, then boot a guest, ping it and keep its console."""
    session.require("os")
    with phase(session, "init") as running:
        inner = running.session
        image = guest(inner)
        cloud = connect(session.directory.kolla / "clouds.yaml")
        found = converge(planned(inner, image), cloud, inner.progress)
        running.facts.update({"image": image.name, "flavor": _flavor(image)})
        if session.experiment.virt == "fake":
            inner.progress.decision("fake computes boot nothing: no guest is tried")
            return
        await_agents(cloud, inner.progress)
        _prove(inner, cloud, found, image)


def _prove(
    session: Session, cloud: Cloud, found: CloudFacts, image: GuestImage
) -> None:
    network = session.testbed.with_role("network")
    here = shutil.which("ping") is not None
    if not here:
        session.progress.decision("no `ping` on this machine: the nodes try the guest")
    request = Request(
        ids=found.ids,
        image=found.images[image.name],
        flavor=_flavor(image),
        vantages=vantages(network or session.testbed.with_role("control"), here=here),
        marker=READY if image.kernel else "",
    )
    try:
        seen = _tried(session, cloud, request)
    except CloudError as failed:
        # A service that came up a moment ago may have missed its first message.
        session.progress.warn(f"{failed.message}: one more guest is tried")
        seen = _tried(session, cloud, request)
    text = json.dumps(asdict(seen), indent=2) + "\n"
    write_atomically(session.directory.results / GUEST, text)
    session.progress.decision(
        f"a guest on {seen.host} was active after {seen.seconds_to_active:.1f} s and "
        f"answered ping from {seen.seen_from} after {seen.seconds_to_ping:.1f} s"
    )


def _tried(session: Session, cloud: Cloud, request: Request) -> Smoke:
    return smoke(
        cloud,
        request,
        console=session.directory.results / CONSOLE,
        shell=session.shell,
        progress=session.progress,
    )


def _flavor(image: GuestImage) -> str:
    """Return the smallest flavor the image is known to boot with."""
    return "m1.nano" if image.kernel else "m1.tiny"


def _public_key(session: Session) -> str:
    """Return a key for guests: made once per experiment, beside kolla's files."""
    key = session.directory.kolla / "guest-key"
    if not key.with_suffix(".pub").exists():
        key.unlink(missing_ok=True)
        comment = session.directory.load().session
        argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", key)
        session.shell.run(argv)
    return key.with_suffix(".pub").read_text(encoding="ascii")
