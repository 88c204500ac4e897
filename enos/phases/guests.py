"""The image of the guests, had before anything long depends on it."""

from enos.cloud import standard
from enos.cloud.download import downloaded_image
from enos.cloud.guest import GuestImage
from enos.phases.session import Session


def prepare(session: Session) -> None:
    """Have the image guests boot, so that what it lacks is told before a deployment."""
    if session.experiment.guest_image is None:
        standard.prepare(session.shell, session.progress)
    guest(session)


def guest(session: Session) -> GuestImage:
    """Return the image guests boot: the user's, or the standard one."""
    wanted = session.experiment.guest_image
    if wanted is None:
        return standard.standard_image(session.cache, session.shell, session.progress)
    return downloaded_image(
        wanted.url,
        wanted.checksum,
        session.cache,
        session.progress,
        user=wanted.user,
    )
