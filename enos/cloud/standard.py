"""The image guests boot when the experiment names none: enos's own, or CirrOS.

enos's own is built from Debian's packages, which takes apt and the archive's keyring.
Where that cannot be, as on systems without apt, the small image OpenStack's own tests
boot is downloaded.
"""

import os
import shutil
from pathlib import Path

from enos.cloud.debian import PROGRAMS, keyring
from enos.cloud.download import downloaded_image
from enos.cloud.guest import GuestImage, guest_image, is_built
from enos.errors import CapabilityError, ImageError, ProcessError
from enos.process import Shell
from enos.progress import Progress

KEYRING = "debian-archive-keyring"
CIRROS = "https://download.cirros-cloud.net/0.6.3/cirros-0.6.3-x86_64-disk.img"
CHECKSUM = "sha256:7d6355852aeb6dbcd191bcda7cd74f1536cfe5cbf8a10495a7283a8396e4b75b"
USER = "cirros"


def missing() -> tuple[str, ...]:
    """Return the programs and packages that building an image lacks here."""
    programs = tuple(name for name in PROGRAMS if shutil.which(name) is None)
    return programs if keyring() else (*programs, KEYRING)


def prepare(shell: Shell, progress: Progress) -> None:
    """Install the archive's keyring where enos may; what it cannot is only told."""
    if missing() != (KEYRING,) or os.geteuid() != 0:
        return
    progress.decision(f"{KEYRING} is missing: install it by apt-get")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ("apt-get", "install", "-q", "-y", "--no-install-recommends", KEYRING)
    try:
        shell.run(("apt-get", "update", "-q"), env=quiet)
        shell.run(install, env=quiet)
    except (ProcessError, CapabilityError) as failed:
        progress.warn(f"{KEYRING} cannot be installed: {failed.message}")


def standard_image(cache: Path, shell: Shell, progress: Progress) -> GuestImage:
    """Return the image of enos's own, CirrOS where it can neither be found nor built.

    Raises ImageError when that cannot be downloaded either.
    """
    lacking = () if is_built(cache) else missing()
    if not lacking:
        return guest_image(cache, shell, progress)
    progress.decision(
        f"guests boot CirrOS: enos's own image takes {', '.join(lacking)} to build"
    )
    try:
        return downloaded_image(CIRROS, CHECKSUM, cache, progress, user=USER)
    except ImageError as failed:
        raise ImageError(
            "there is no image for guests: enos's own cannot be built here, and "
            f"CirrOS cannot be had: {failed.message}",
            hint=f"install {', '.join(lacking)}, or set `guest_image: url:`",
        ) from failed
