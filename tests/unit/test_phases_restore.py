"""Where saved measures are found."""

from pathlib import Path

import pytest

from enos.errors import ArchiveError
from enos.metrics import saved
from enos.phases import restore
from enos.testing import RecordingProgress


@pytest.mark.parametrize("folder", ["results/metrics", "results/metrics-2026-11-21"])
def test_measures_are_found_in_an_experiment_or_in_a_folder_of_their_own(
    tmp_path: Path, folder: str
) -> None:
    place = tmp_path / folder
    place.mkdir(parents=True)
    (place / saved.LINES).touch()
    named = tmp_path if folder == "results/metrics" else place

    with restore._measures(named, RecordingProgress()) as found:
        assert found == place


def test_a_folder_without_measures_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ArchiveError, match="holds no measures"),
        restore._measures(tmp_path, RecordingProgress()),
    ):
        pass
