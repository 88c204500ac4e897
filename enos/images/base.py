"""The image all others stand on: Debian alone."""

from pathlib import Path
from tempfile import TemporaryDirectory

from enos.errors import CapabilityError, ImageError, ProcessError
from enos.images.daemon import Daemon
from enos.images.host import KEYRING, Reach
from enos.images.sources import DRAFT
from enos.progress import Progress, Step


def ensure_base(
    daemon: Daemon,
    image: str,
    *,
    reach: Reach,
    home: Path,
    logs: Path,
    progress: Progress,
) -> None:
    """Have ``debian:trixie`` in a daemon: copied from here, pulled or bootstrapped.

    Raises ImageError when there is no way; `home` takes temporary files.
    """
    if daemon.has(image):
        return
    with progress.step(f"base image {image}") as step:
        here = Daemon(shell=daemon.shell)
        if daemon.host and _is_here(here, image):
            step.awaiting("copying it from this machine's Docker")
            _copy(here, daemon, image, home)
        elif not daemon.run("pull", "--quiet", image, check=False).ok:
            progress.decision(f"Docker Hub does not answer: {image} by debootstrap")
            _bootstrap(daemon, image, reach, home, logs / "debootstrap.log", step)


def _is_here(here: Daemon, image: str) -> bool:
    try:
        return here.has(image)
    except CapabilityError:
        return False


def _copy(source: Daemon, to: Daemon, image: str, home: Path) -> None:
    with TemporaryDirectory(dir=home, prefix=DRAFT) as folder:
        archive = Path(folder) / "image.tar"
        source.run("save", "--output", archive, image)
        to.run("load", "--input", archive)


def _bootstrap(
    daemon: Daemon, image: str, reach: Reach, home: Path, log: Path, step: Step
) -> None:
    suite = image.partition(":")[2]
    key = ("--keyring", KEYRING) if Path(KEYRING).exists() else ()
    step.awaiting(f"debootstrap {suite}")
    with TemporaryDirectory(dir=home, prefix=DRAFT) as folder:
        tree, archive = Path(folder) / "tree", Path(folder) / "base.tar"
        options = ("--variant=minbase", "--include=ca-certificates", *key)
        # In a mount namespace: a debootstrap that is killed leaves no /proc mounted,
        # which the removal of its folder would reach into.
        program = ("unshare", "--mount", "debootstrap")
        argv = (*program, *options, suite, str(tree), reach.archive)
        try:
            daemon.shell.stream(argv, log=log)
            daemon.shell.run(["tar", "-C", tree, "-cf", archive, "."])
        except (ProcessError, CapabilityError) as failed:
            raise ImageError(
                f"the base image `{image}` can neither be pulled nor bootstrapped",
                hint=f"run enos as root with debootstrap installed, or load `{image}`"
                f" into Docker yourself; the log is `{log}`",
                details=failed.details or failed.message,
            ) from failed
        daemon.run("import", archive, image)
