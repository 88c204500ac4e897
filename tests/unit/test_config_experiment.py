from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.config.experiment import Experiment, GuestImage, Registry, load_experiment
from enos.config.schema import RELEASES
from enos.errors import ConfigError
from enos.kolla import releases
from enos.provider import Provider
from enos.units import Duration, Percent, Rate

MACHINES = "topology: {grp1: {a: {control: 1}}, grp2: {a: {compute: 1}}}\n"
Load = Callable[..., Experiment]


@pytest.fixture
def load(tmp_path: Path, providers: Mapping[str, type[Provider]]) -> Load:
    def loaded(text: str, **environ: str) -> Experiment:
        file = tmp_path / "experiment.yml"
        file.write_text(MACHINES + text, encoding="utf-8")
        return load_experiment(file, providers=providers, environ=environ)

    return loaded


def warned(experiment: Experiment) -> list[str]:
    return [one.rpartition("experiment.yml:")[2] for one in experiment.warnings]


def test_everything_has_a_default(load: Load) -> None:
    found = load("")
    assert (found.provider, found.settings) == ("local", {})
    assert (found.release, found.virt, found.images) == ("2026.1", "qemu", "auto")
    assert found.registry == Registry(type="none", ip="", port=5000)
    assert found.constraints == NetworkConstraints()
    assert found.constraints.empty
    assert found.guest_image is None
    assert found.warnings == ()
    assert found.text == MACHINES


def test_a_section_with_nothing_under_it_is_as_if_left_out(load: Load) -> None:
    found = load("kolla:\nregistry:\nnetwork_constraints:\nprovider:\n")
    assert found.kolla == {}
    assert found.provider == "local"


def test_the_provider_is_a_word_or_a_mapping(load: Load) -> None:
    assert load("provider: local").provider == "local"
    found = load("provider: {type: local, cpus: 4, walltime: 14:00:00}")
    assert found.settings == {"cpus": 4, "walltime": "14:00:00"}


def test_kolla_variables_are_kept_as_they_are_written(load: Load) -> None:
    text = """
kolla:
  enable_heat: no
  enable_neutron_dvr: "yes"
  enable_horizon: true
  nova_ratio: 1.50
  docker_version: 20.10
  workers: 4
  jinja: "{{ api_interface }}"
  nested: {list: [1, two]}
"""
    assert load(text).kolla == {
        "enable_heat": "no",
        "enable_neutron_dvr": "yes",
        "enable_horizon": True,
        "nova_ratio": "1.50",
        "docker_version": "20.10",
        "workers": 4,
        "jinja": "{{ api_interface }}",
        "nested": {"list": [1, "two"]},
    }


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("release: 2025.1", "2025.1"),
        ('release: "2026.1"', "2026.1"),
        ("kolla-ansible: kolla-ansible==21.3.0", "2025.2"),
        ("kolla-ansible: kolla-ansible~=20.0", "2025.1"),
        ("kolla_ansible: git+https://example.org/k-a@stable/2025.2", "2025.2"),
        ("{kolla-ansible: kolla-ansible}", "2026.1"),
        ("kolla-ansible: -e ../kolla-ansible\nrelease: 2025.2", "2025.2"),
    ],
)
def test_the_release_is_text_or_follows_from_kolla_ansible(
    load: Load, text: str, release: str
) -> None:
    assert load(text.strip("{}")).release == release


def test_the_releases_are_the_ones_kolla_has_locks_for() -> None:
    assert tuple(one.name for one in releases.RELEASES) == RELEASES


def test_a_version_of_kolla_ansible_is_said_to_be_pinned(load: Load) -> None:
    assert warned(load("kolla-ansible: kolla-ansible==22.1.0")) == [
        "2:1: `kolla-ansible` only chooses the release: its version is pinned by enos"
    ]


def test_keys_without_effect_are_warned_about(load: Load) -> None:
    text = """kolla_repo: https://example.org
kolla_ref: master
docker_version: 20.10
registry: {type: internal, ceph: true, ceph_id: me}
"""
    assert warned(load(text)) == [
        (
            "2:1: `kolla_repo` has no effect: kolla-ansible comes from PyPI: choose it"
            " with `release`"
        ),
        (
            "3:1: `kolla_ref` has no effect: kolla-ansible comes from PyPI: choose it"
            " with `release`"
        ),
        (
            "4:1: `docker_version` has no effect: the version of Docker comes with the"
            " machines"
        ),
        "5:28: `ceph` has no effect: a registry on Ceph is not supported",
        "5:40: `ceph_id` has no effect: it belongs to `ceph`",
    ]


def test_an_experiment_without_a_control_node_is_warned_about(
    tmp_path: Path, providers: Mapping[str, type[Provider]]
) -> None:
    file = tmp_path / "experiment.yml"
    file.write_text("resources: {a: {compute: 1}}\n", encoding="utf-8")
    found = load_experiment(file, providers=providers)
    assert warned(found) == [
        "1:1: no machine has the role `control`: OpenStack cannot be deployed"
    ]


@pytest.mark.parametrize(
    ("text", "registry"),
    [
        ("none", Registry()),
        ("internal", Registry(type="internal")),
        ("{type: internal, port: 5001}", Registry(type="internal", port=5001)),
        ("{type: external, ip: r.org}", Registry(type="external", ip="r.org")),
    ],
)
def test_a_registry_is_a_word_or_a_mapping(
    load: Load, text: str, registry: Registry
) -> None:
    assert load(f"registry: {text}").registry == registry


def test_fake_computes_come_with_virt_fake(load: Load) -> None:
    found = load("virt: fake\nfake_computes: 10")
    assert (found.virt, found.fake_computes) == ("fake", 10)


def test_a_guest_image_has_a_checksum(load: Load) -> None:
    digest = f"sha256:{'a' * 64}"
    found = load(
        f"guest_image: {{url: file:///g.img, checksum: '{digest}', user: cirros}}"
    )
    expected = GuestImage(url="file:///g.img", checksum=digest, user="cirros")
    assert found.guest_image == expected


def test_an_inventory_is_looked_for_beside_the_file_then_here(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "multinode").touch()
    assert load("inventory: multinode").inventory == here / "multinode"
    (tmp_path / "multinode").touch()
    assert load("inventory: multinode").inventory == tmp_path / "multinode"
    assert load(f"inventory: {here}/multinode").inventory == here / "multinode"


def test_variables_are_replaced_before_anything_is_checked(load: Load) -> None:
    found = load("fake_computes: ${N}\nvirt: ${VIRT:-fake}\n", N="3")
    assert (found.fake_computes, found.virt) == (3, "fake")


EXPECTED = ConstraintSpec(
    src="grp1",
    dst="grp2",
    delay=Duration(25),
    rate=Rate(1e10),
    loss=Percent(0.1),
    symmetric=True,
)


@pytest.mark.parametrize(
    "text",
    [
        "{src: grp1, dst: grp2, delay: 25ms, rate: 10Gbit, loss: 0.1%, symetric: true}",
        "{src: grp1, dest: grp2, delay: 25ms, rate: 10gbit, loss: 0.1, symmetric: yes}",
        (
            "{constraints: [{src: grp1, dst: grp2, delay: 0.025s, rate: 10000mbit,"
            " loss: 0.10%, symetric: on}]}"
        ),
    ],
)
@pytest.mark.parametrize("key", ["network_constraints", "network constraints"])
def test_a_constraint_has_many_spellings(load: Load, key: str, text: str) -> None:
    assert load(f"{key}: {text}").constraints == NetworkConstraints(
        constraints=(EXPECTED,)
    )


def test_symetric_false_means_false(load: Load) -> None:
    found = load("network_constraints: {src: grp1, dst: grp2, symetric: false}")
    assert [one.symmetric for one in found.constraints.constraints] == [False]


@pytest.mark.parametrize("loss", ["0", "0%", "0.0%"])
def test_no_loss_is_written_in_several_ways(load: Load, loss: str) -> None:
    found = load(f"network_constraints: {{default_loss: {loss}}}").constraints
    assert found.default_loss == Percent(0)
    assert not found.empty


def test_defaults_and_exceptions_are_understood(load: Load) -> None:
    text = """
network_constraints:
  enable: false
  default_delay: 10ms
  default_rate: 1Gbit
  default_loss: 0%
  except: grp1
  groups: [grp1, grp2]
  default_network: api
  constraints:
    - {src: "grp[1-2]", dst: control, jitter: 1ms, network: tunnel}
"""
    assert load(text).constraints == NetworkConstraints(
        enable=False,
        default_delay=Duration(10),
        default_rate=Rate(1e9),
        default_loss=Percent(0),
        exclude=("grp1",),
        groups=("grp1", "grp2"),
        network="api",
        constraints=(
            ConstraintSpec(
                src="grp1", dst="control", jitter=Duration(1), network="tunnel"
            ),
            ConstraintSpec(
                src="grp2", dst="control", jitter=Duration(1), network="tunnel"
            ),
        ),
    )


def test_a_plug_in_that_is_not_asked_for_is_not_loaded(tmp_path: Path) -> None:
    class Explosive(Mapping[str, type[Provider]]):
        def __getitem__(self, name: str) -> type[Provider]:
            raise AssertionError(name)

        def __iter__(self):  # noqa: ANN204 - a test's own
            return iter(("local", "g5k"))

        def __len__(self) -> int:
            return 2

        def __contains__(self, name: object) -> bool:
            return name in ("local", "g5k")

    file = tmp_path / "experiment.yml"
    file.write_text(MACHINES + "provider: g6k\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="1 problem") as failed:
        load_experiment(file, providers=Explosive())
    assert "did you mean `g5k`?" in failed.value.details
