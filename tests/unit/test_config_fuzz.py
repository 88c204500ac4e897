from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enos.config.experiment import load_experiment
from enos.config.schema import ExperimentFile
from enos.config.sections import Constraint, Constraints, Guest, Registry
from enos.config.wording import spellings
from enos.errors import ConfigError
from enos.provider import Provider

WORDS = sorted(
    {
        *(
            spelling
            for model in (ExperimentFile, Constraints, Constraint, Guest, Registry)
            for several in spellings(model)
            for spelling in several
        ),
        *("local", "static", "type", "machines", "roles", "address", "external"),
        *("grp1", "grp[1-2]", "grp[2-1]", "control", "compute", "10ms", "1gbit", "2%"),
        *("2026.1", "fake", "true", "kolla-ansible==20.0", "${X}", "${", "<<", ""),
    }
)
SCALARS = st.sampled_from(WORDS) | st.integers(-2, 3) | st.booleans() | st.none()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=15,
)
TOP = [one for several in spellings(ExperimentFile) for one in several]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "experiment.yml"


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=300)
@given(content=st.dictionaries(st.sampled_from(TOP), VALUES, max_size=6))
def test_any_content_is_an_experiment_or_a_config_error(
    content: dict[str, object], file: Path, providers: Mapping[str, type[Provider]]
) -> None:
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        found = load_experiment(file, providers=providers, environ={})
    except ConfigError as refused:
        lines = refused.details.splitlines()
        assert lines
        assert all(line.startswith(f"{file}:") for line in lines)
    else:
        assert found.demand.number > 0
