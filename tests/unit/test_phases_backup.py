"""The archive is made whatever becomes of the report."""

from pathlib import Path

import pytest

from enos import plugins
from enos.errors import StateError
from enos.phases import backup, metrics, report
from enos.phases.session import Session, Workshop, starting
from enos.testing import FakeProvider, RecordingProgress, RecordingShell


def test_a_report_that_cannot_be_made_does_not_prevent_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(session: Session) -> Path:
        raise StateError(f"`{session.directory.path.name}` tells nothing")

    monkeypatch.setattr(plugins, "providers", lambda: {"fake": FakeProvider})
    monkeypatch.setattr(plugins, "provider", lambda _: FakeProvider)
    monkeypatch.setattr(report, "keep", broken)
    monkeypatch.setattr(metrics, "keep", lambda _: None)
    file, progress = tmp_path / "demo.yml", RecordingProgress()
    file.write_text(FakeProvider.sample)
    workshop = Workshop(
        progress=progress,
        where=tmp_path,
        cache=tmp_path / "cache",
        shell=lambda _: RecordingShell(),
    )
    with starting(file, None, workshop) as session:
        session.save(testbed=session.provider.acquire(session.experiment.demand))
        done = backup.run(session)

    assert backup.verified(done.archive)["members"] > 0
    assert "the archive has no new report" in progress.warnings[0]
