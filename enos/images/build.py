"""Building with kolla-build: one run, watched image by image.

kolla-build tells on its output when an image begins and ends, and keeps the output of
each build in `logs/IMAGE.log`. It asks Docker with the classic builder, which ends a
build whose client is gone; what was tagged before stays and is not built again.
"""

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enos.errors import ImageError
from enos.images.daemon import Daemon
from enos.progress import Progress, Step

EVENT = re.compile(
    r"INFO:kolla\.common\.utils\.(?P<image>[\w-]+):(?P<what>Building started|Built) at"
)
TAIL = 25
FULL = "no space left on device"
SPARED = frozenset({"parent_error", "matched", "unprocessed"})
"""Statuses of images whose build was never begun, because of another one's."""
SOURCES = "from kolla.common.sources import SOURCES; print(*SOURCES)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of kolla-build.

    Attributes:
        tools: `bin` folder of the environment kolla is installed in.
        configuration: path of `kolla-build.conf`.
        logs: folder for the log of each image.
        wanted: names of the images, without those they stand on.
        total: how many are built in all.

    """

    tools: Path
    configuration: Path
    logs: Path
    wanted: tuple[str, ...]
    total: int
    environment: dict[str, str] = field(default_factory=dict)


def plugin_sources(daemon: Daemon, tools: Path) -> tuple[str, ...]:
    """Return the names of kolla's sources of plug-ins."""
    told = daemon.shell.run([tools / "python", "-c", SOURCES]).stdout
    return tuple(name for name in told.split() if "-plugin-" in name)


def templates(tools: Path) -> Path:
    """Return the folder of kolla's own templates."""
    return tools.parent / "share" / "kolla" / "docker"


PARENT = re.compile(
    r"^FROM \{\{ namespace \}\}/\{\{ image_prefix \}\}([\w-]+):", re.MULTILINE
)


def with_parents(wanted: Iterable[str], *folders: Path) -> tuple[str, ...]:
    """Return the images and all they stand on, the latter first.

    Later folders of templates win over earlier ones, as kolla's `docker_dir` does.
    """
    parents: dict[str, str | None] = {}
    for folder in folders:
        for file in folder.rglob("Dockerfile.j2"):
            match = PARENT.search(file.read_text(encoding="utf-8"))
            parents[file.parent.name] = match[1] if match else None
    line: dict[str, None] = {}
    for image in wanted:
        above = [image]
        while parent := parents.get(above[-1]):
            above.append(parent)
        line |= dict.fromkeys(reversed(above))
    return tuple(line)


def build(daemon: Daemon, job: Job, progress: Progress) -> None:
    """Build the images; raises ImageError naming the first that cannot be built."""
    job.logs.mkdir(parents=True, exist_ok=True)
    log = job.logs / "kolla-build.log"
    patterns = (f"^{name}$" for name in job.wanted)
    program: tuple[str | Path, ...] = (job.tools / "kolla-build", "--config-file")
    argv = (*program, job.configuration, *patterns)
    environment = {**daemon.environment, **job.environment}
    with progress.step(f"{job.total} container images by kolla-build") as step:
        watch = Watch(progress=progress, step=step, total=job.total)
        try:
            done = daemon.shell.stream(
                argv, log=log, on_line=watch, env=environment, check=False
            )
        finally:
            watch.close()
        if not done.ok:
            raise _failure(done.stdout.splitlines(), job.logs)


@dataclass(slots=True, kw_only=True)
class Watch:
    """Turns kolla-build's lines into a step per image."""

    progress: Progress
    step: Step
    total: int
    built: int = 0
    running: dict[str, AbstractContextManager[Step]] = field(default_factory=dict)

    def __call__(self, line: str) -> None:
        """Take one line."""
        event = EVENT.match(line)
        if event is None:
            return
        image = event["image"]
        if event["what"] == "Built":
            self.built += 1
            self._end(image)
        elif image not in self.running:
            self.running[image] = self.progress.step(f"image {image}")
            self.running[image].__enter__()
        self.step.awaiting(f"{self.built}/{self.total}, now {', '.join(self.running)}")

    def close(self) -> None:
        """End the steps of images that did not end by themselves."""
        broken = ImageError("not built")
        for image in tuple(self.running):
            self._end(image, broken)

    def _end(self, image: str, error: ImageError | None = None) -> None:
        step = self.running.pop(image, None)
        if step is not None:
            step.__exit__(type(error) if error else None, error, None)


def _failure(last: Sequence[str], logs: Path) -> ImageError:
    failed = failed_images(last)
    if not failed:
        return ImageError(
            "kolla-build ended before it built anything",
            hint=f"the whole output is in `{logs / 'kolla-build.log'}`",
            details="\n".join(last[-TAIL:]),
        )
    image, log = failed[0], logs / f"{failed[0]}.log"
    others = f" (nor {', '.join(f'`{name}`' for name in failed[1:])})"
    told = ending(log)
    hint = f"the whole output is in `{log}`; the same command goes on from here"
    if FULL in told.lower():
        hint = "free space where Docker keeps its data; the same command goes on"
    return ImageError(
        f"the image `{image}` cannot be built{others if failed[1:] else ''}",
        hint=hint,
        details=told,
    )


def failed_images(last: Iterable[str]) -> tuple[str, ...]:
    """Return the images that failed themselves, from kolla-build's summary in JSON."""
    for line in last:
        if line.startswith("{"):
            summary: dict[str, Any] = json.loads(line)
            return tuple(
                one["name"] for one in summary["failed"] if one["status"] not in SPARED
            )
    return ()


def ending(log: Path) -> str:
    """Return the end of an image's log, without kolla's own traceback."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    told = [line for line in lines if line.strip()]
    for number, line in enumerate(told):
        if "Unknown container engine error" in line:
            told = told[:number]
            break
    return "\n".join(told[-TAIL:])
