"""Real parts that several modules need."""

import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from enos.bench import harvest

PASSWORD = "toy"


@pytest.fixture(scope="session")
def browser() -> str:
    """A browser of the Chromium family that may read what tests write."""
    names = ["google-chrome"]
    if platform.freedesktop_os_release()["ID"] != "ubuntu":
        names = ["chromium", "chromium-browser", *names]
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None and len(names) == 1:
        pytest.skip("Ubuntu's chromium is a snap, which reads no page of a test")
    assert found, "chromium is missing: `make test` installs it"
    return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A redis-server with a password, as kolla's: `address`, `client` and `end`."""
    program = shutil.which("redis-server")
    assert program, "redis-server is missing: `make test` installs it"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    argv = (
        *(program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""),
        *("--requirepass", PASSWORD, "--dir", str(tmp_path)),
    )
    address = f"redis://default:{PASSWORD}@127.0.0.1:{port}/0"
    client = harvest.connected(address)
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as server:

        def end() -> None:
            server.kill()
            server.wait()

        try:
            until = time.monotonic() + 30
            while harvest.silence(client) and time.monotonic() < until:
                assert server.poll() is None, "redis-server ended: is its port taken?"
                time.sleep(0.05)
            assert harvest.silence(client) == ""
            yield SimpleNamespace(address=address, client=client, end=end)
        finally:
            end()
