"""`enos init`: what a deployed OpenStack needs, proved by a guest that answers."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from enos.cloud import standard
from enos.cloud.converge import CloudFacts, converge
from enos.cloud.download import named
from enos.cloud.guest import NAME, GuestImage, is_built
from enos.cloud.plan import CloudPlan, lines, plan_cloud
from enos.cloud.readiness import await_agents, await_computes
from enos.cloud.rest import Cloud, connect
from enos.cloud.smoke import READY, Request, Smoke, smoke, vantages
from enos.errors import CloudError
from enos.phases import deployed
from enos.phases.guests import guest
from enos.phases.session import Session, phase
from enos.state.directory import write_atomically
from enos.testbed import Testbed

CONSOLE, GUEST = "guest-console.log", "guest.json"
NO_KEY = "made by enos init"
"""Stands for the guests' public key in a plan, before there is one."""


def plan(session: Session, testbed: Testbed | None = None) -> tuple[str, ...]:
    """Return what would be created, a line each; nothing is built, fetched or made.

    Args:
        session: an experiment.
        testbed: the machines it will have, by default those it has.

    """
    public = _key(session).with_suffix(".pub")
    key = public.read_text(encoding="ascii") if public.exists() else NO_KEY
    chosen = testbed or session.testbed
    return lines(_planned(session, _foreseen_guest(session), key, chosen))


def _planned(
    session: Session, image: GuestImage, key: str, testbed: Testbed
) -> CloudPlan:
    there = session.directory.load().testbed is not None
    known = deployed.vips(session) if there else ()
    reserved = tuple(vip.address for vip in known)
    return plan_cloud(testbed, (image,), public_key=key, reserved=reserved)


def _foreseen_guest(session: Session) -> GuestImage:
    """Return what `guest` will, by its name: no file of it may be there yet."""
    wanted = session.experiment.guest_image
    own = is_built(session.cache) or not standard.missing()
    if wanted is None and own:
        return GuestImage(name=NAME, disk=Path(), disk_format="raw", digest="")
    stem = named(wanted.url if wanted else standard.CIRROS).rsplit(".", 1)[0]
    kind = "qcow2 or raw, as the file is"
    return GuestImage(name=stem, disk=Path(), disk_format=kind, digest="")


def run(session: Session) -> None:
    """Create what is missing, then boot a guest, ping it and keep its console."""
    session.require("os")
    with phase(session, "init") as running:
        inner = running.session
        image = guest(inner)
        cloud = connect(session.directory.kolla / "clouds.yaml")
        wanted = _planned(inner, image, _public_key(inner), inner.testbed)
        found = converge(wanted, cloud, inner.progress)
        running.facts.update({"image": image.name, "flavor": _flavor(image)})
        if session.experiment.virt == "fake":
            inner.progress.decision("fake computes boot nothing: no guest is tried")
            return
        await_computes(cloud, inner.progress)
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


def _key(session: Session) -> Path:
    return session.directory.kolla / "guest-key"


def _public_key(session: Session) -> str:
    """Return a key for guests: made once per experiment, beside kolla's files."""
    key = _key(session)
    if not key.with_suffix(".pub").exists():
        key.unlink(missing_ok=True)
        comment = session.directory.load().session
        argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", key)
        session.shell.run(argv)
    return key.with_suffix(".pub").read_text(encoding="ascii")
