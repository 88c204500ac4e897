from collections.abc import Callable
from pathlib import Path

import pytest
from enos_local import Local
from pydantic import ValidationError

from enos.demand import Demand, MachineDemand
from enos.errors import CapabilityError, ProviderError
from enos.provider import SharesImages, Surroundings
from enos.testing import Answer, Call, RecordingProgress, RecordingShell


def local(tmp_path: Path, shell: RecordingShell, **settings: object) -> Local:
    around = Surroundings(
        session="enos-3f9a2c",
        directory=tmp_path,
        cache=tmp_path,
        shell=shell,
        progress=RecordingProgress(),
    )
    return Local(Local.Settings.model_validate(settings), around)


def test_the_plan_tells_of_every_network_and_node(
    tmp_path: Path, golden: Callable[[str, str], None]
) -> None:
    control = MachineDemand(group="grp1", roles=("control", "network"))
    computes = MachineDemand(group="grp2", roles=("compute",), flavour="big", number=2)
    provider = local(tmp_path, RecordingShell(strict=True))
    lines = provider.plan(Demand(machines=(control, computes)))
    golden("local/plan.txt", "\n".join(lines) + "\n")


def test_an_impossible_demand_is_refused_when_it_is_planned(tmp_path: Path) -> None:
    many = MachineDemand(group="grp1", roles=("compute",), number=500)
    with pytest.raises(ProviderError, match="500 machines"):
        local(tmp_path, RecordingShell(strict=True)).plan(Demand(machines=(many,)))


@pytest.mark.parametrize(
    "wrong",
    [{"cpus": 0}, {"memory": "8 GB"}, {"subnets": "10.0.0.1/8"}, {"subnet": "x"}],
)
def test_a_setting_written_wrongly_is_refused(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    with pytest.raises(ValidationError):
        local(tmp_path, RecordingShell(), **wrong)


def test_it_can_bring_images_to_its_machines(tmp_path: Path) -> None:
    assert isinstance(local(tmp_path, RecordingShell()), SharesImages)


def test_release_without_docker_has_nothing_to_do(tmp_path: Path) -> None:
    def missing(call: Call) -> Answer:
        raise CapabilityError(f"`{call.argv[0]}` cannot be started")

    shell = RecordingShell()
    shell.script("docker *", missing)
    local(tmp_path, shell).release()
    assert len(shell.calls) == 1
