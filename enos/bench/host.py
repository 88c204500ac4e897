"""The host benchmarks run on, and what reaches it."""

import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from enos.errors import BenchmarkError, ConfigError
from enos.process import Shell
from enos.progress import Progress
from enos.remote import run_on, ssh_argv
from enos.testbed import Host, Testbed


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a workload is run with.

    Attributes:
        cache: folder all experiments of this user share.
        sockets: folder of shared SSH connections.
        began: called with the name of each scenario when its load begins: the first
            iteration of Rally's, the first test of Shaker's.

    """

    host: Host
    cache: Path
    shell: Shell
    progress: Progress
    sockets: Path | None = None
    began: Callable[[str], None] = lambda _: None

    def on_host(self, *command: str, stdin: str = "") -> None:
        """Run a command on the bench host; raises ProcessError when it fails."""
        run_on(self.shell, self.host, command, stdin=stdin, sockets=self.sockets)

    def put(self, path: PurePosixPath, text: str, *, mode: str = "600") -> None:
        """Write a file on the bench host, by default readable by root only."""
        command = ("install", "-D", "-m", mode, "/dev/stdin", str(path))
        self.on_host(*command, stdin=text)

    def fetch(self, command: Sequence[str], target: Path) -> None:
        """Unpack into a folder the tar archive a command on the bench host writes.

        Raises ProcessError when the command fails, BenchmarkError when what it wrote
        did not come whole.
        """
        broken: list[str] = []

        def unpack(stream: IO[bytes]) -> None:
            try:
                with tarfile.open(fileobj=stream, mode="r|") as tar:
                    tar.extractall(target, filter="data")
            except tarfile.TarError as error:  # when the command failed, that says more
                broken.append(str(error))

        self.shell.pipe(ssh_argv(self.host, command, sockets=self.sockets), unpack)
        if broken:
            raise BenchmarkError(
                f"what `{self.host.name}` sent home is no whole archive: {broken[0]}",
                hint="run the same command again",
            )


def bench_host(testbed: Testbed) -> Host:
    """Return the host benchmarks run on: of role `bench`, else of role `control`.

    Raises ConfigError when no host plays either.
    """
    hosts = testbed.with_role("bench") or testbed.with_role("control")
    if not hosts:
        raise ConfigError(
            "no host of the experiment plays `bench` or `control`",
            hint="add the role `bench` to the host the benchmarks are to run on",
        )
    return hosts[0]
