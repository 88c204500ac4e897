import json
from pathlib import Path

import pytest

from enos import plugins
from enos.phases import machines
from enos.phases.session import Workshop, starting
from enos.testing import FakeProvider, RecordingProgress, RecordingShell

SAYS = (
    "system=Debian GNU/Linux 13 (trixie)\nkernel=6.12.0\nprocessors=8\n"
    "memory=MemTotal:       32768000 kB\n"
)


def test_what_machines_say_of_themselves_is_kept_and_silence_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "providers", lambda: {"fake": FakeProvider})
    monkeypatch.setattr(plugins, "provider", lambda _: FakeProvider)
    shell, progress = RecordingShell(), RecordingProgress()
    shell.on("ssh *os-release*", stdout=SAYS)
    shell.on("ssh *192.0.2.3*os-release*", returncode=255, stderr="no route to host")
    file = tmp_path / "demo.yml"
    file.write_text(
        "provider: {type: fake}\ntopology: {core: {control: 1}, edge: {compute: 1}}\n"
    )
    workshop = Workshop(
        progress=progress, where=tmp_path, cache=tmp_path, shell=lambda _: shell
    )

    with starting(file, None, workshop) as session:
        testbed = session.provider.acquire(session.experiment.demand)
        machines.record(session, testbed)
        kept = json.loads((session.directory.results / machines.NAME).read_text())

    first, second = kept["hosts"]
    assert first["groups"] == ["core"]
    assert first["roles"] == ["control"]
    assert first["system"] == "Debian GNU/Linux 13 (trixie)"
    assert (first["processors"], first["memory"]) == ("8", "31.2 GiB")
    assert (second["name"], second["kernel"]) == ("compute-1", "")
    assert any("compute-1 did not say" in what for what in progress.warnings)
    assert kept["versions"]["openstack"] == "2026.1"
