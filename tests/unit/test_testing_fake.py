from pathlib import Path

import pytest

from enos.errors import ProviderError
from enos.process import Shell
from enos.provider import Provider, Surroundings
from enos.testing import FakeProvider, ProviderContract, RecordingShell


class TestFakeProvider(ProviderContract):
    def make(self, around: Surroundings) -> Provider:
        return FakeProvider(FakeProvider.Settings(), around)

    def shell(self, session: str) -> Shell:
        assert session
        return RecordingShell()

    def test_a_host_that_does_not_answer_fails_the_acquisition(
        self, tmp_path: Path
    ) -> None:
        shell = RecordingShell()
        shell.on("ssh *192.0.2.3*", returncode=255)
        provider = self.make(self.surroundings(tmp_path, shell))
        with pytest.raises(ProviderError, match="compute-1"):
            provider.acquire(self.demand)
