"""Fakes and contracts for tests, of enos and of third-party providers."""

from enos.testing.recording import (
    Answer,
    Call,
    RecordedStep,
    RecordingProgress,
    RecordingShell,
)

__all__ = ["Answer", "Call", "RecordedStep", "RecordingProgress", "RecordingShell"]
