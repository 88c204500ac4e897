"""Fakes and contracts for tests, of enos and of third-party providers."""

from enos.testing.contract import ProviderContract
from enos.testing.fake import FakeProvider
from enos.testing.recording import (
    Answer,
    Call,
    RecordedStep,
    RecordingProgress,
    RecordingShell,
)

__all__ = [
    "Answer",
    "Call",
    "FakeProvider",
    "ProviderContract",
    "RecordedStep",
    "RecordingProgress",
    "RecordingShell",
]
