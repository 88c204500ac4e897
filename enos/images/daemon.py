"""One Docker daemon, spoken to by the `docker` program."""

from dataclasses import dataclass
from pathlib import Path

from enos.process import Completed, Shell


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A Docker daemon.

    Attributes:
        host: DOCKER_HOST; empty for the user's own default.

    """

    shell: Shell
    host: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Return what makes a program use this daemon."""
        return {"DOCKER_HOST": self.host} if self.host else {}

    def run(self, *words: str | Path, check: bool = True) -> Completed:
        """Run `docker` with these words; raises as `Shell.run` does."""
        return self.shell.run(["docker", *words], check=check, env=self.environment)

    def images(self) -> dict[str, str]:
        """Return the tagged images: ``kolla/nova-api:2026.1`` → id."""
        form = "{{.Repository}}:{{.Tag}} {{.ID}}"
        told = self.run("images", "--no-trunc", "--format", form).stdout
        pairs = (line.split() for line in told.splitlines())
        return {name: image for name, image in pairs if "<none>" not in name}

    def has(self, image: str) -> bool:
        """Tell whether an image is there."""
        return self.run("image", "inspect", image, check=False).ok
