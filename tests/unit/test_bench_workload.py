from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enos import content
from enos.bench.template import missing, rendered
from enos.bench.workload import combinations, load_workload
from enos.errors import ConfigError

TASK = "Dummy.dummy: {times: {{ times|default(1) }}, c: {{ concurrency|default(1) }}}\n"
SLIDE = """\
rally:
  args:
    concurrency: 5
    times: 100
  scenarios:
    - name: boot and list servers
      file: nova-boot-list-cc.yml
      osprofiler: true
    - ...
shaker: ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "task.yml").write_text(TASK)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_workload(write(folder, text))
    return caught.value.details.replace(f"{folder}/", "")


def test_lists_make_a_run_for_each_combination(folder: Path) -> None:
    text = """
rally:
  args: {concurrency: [1, 2, 4], times: [10, 20], note: 7}
  scenarios:
    - {name: authenticate, file: task.yml}
"""

    runs = load_workload(write(folder, text)).runs

    assert len(runs) == 6
    assert runs[0].name == "authenticate [concurrency=1, times=10]"
    assert runs[5].args == {"concurrency": 4, "times": 20, "note": 7}
    assert runs[5].task == "Dummy.dummy: {times: 20, c: 4}"


def test_arguments_of_a_scenario_do_not_leak_into_the_next(folder: Path) -> None:
    text = """
rally:
  args: {times: 1}
  scenarios:
    - {file: task.yml, args: {times: 50, concurrency: 3}}
    - {file: task.yml}
"""

    first, second = load_workload(write(folder, text)).runs

    assert first.args == {"times": 50, "concurrency": 3}
    assert second.args == {"times": 1}


def test_the_defaults_of_enos_weigh_least(folder: Path) -> None:
    (folder / "boot.yml").write_text("image: {{ image }}\nflavor: {{ flavor }}\n")
    text = "rally:\n  scenarios:\n    - {file: boot.yml, args: {flavor: m1.big}}\n"
    defaults = {"image": "cirros", "flavor": "m1.nano"}

    (run,) = load_workload(write(folder, text), defaults=defaults).runs

    assert run.task == "image: cirros\nflavor: m1.big"
    assert run.args == {"flavor": "m1.big"}


def test_what_is_not_enabled_is_left_out(folder: Path) -> None:
    text = """
rally:
  scenarios:
    - {file: task.yml, enabled: false}
    - {file: nowhere.yml, enabled: false}
    - {file: task.yml, name: kept}
"""

    assert [run.name for run in load_workload(write(folder, text)).runs] == ["kept"]


def test_a_disabled_section_runs_nothing(folder: Path) -> None:
    text = "rally:\n  enabled: false\n  scenarios:\n    - {file: task.yml}\n"

    assert load_workload(write(folder, text)).runs == ()


def test_the_run_yml_of_the_talk_means_what_its_slide_means(folder: Path) -> None:
    workload = load_workload(write(folder, SLIDE))

    (run,) = workload.runs
    assert run.name == "boot and list servers"
    assert run.args == {"concurrency": 5, "times": 100}
    assert "NovaServers.boot_and_list_server" in run.task
    assert "times: 100" in run.task
    assert workload.shaker == ()
    assert run.traced
    assert [warning.partition(":")[0] for warning in workload.warnings] == [
        "`...` in `run.yml` stands for nothing",
    ]


def test_a_scenario_is_traced_as_it_says_else_as_its_section_says(folder: Path) -> None:
    text = (
        "rally:\n  osprofiler: true\n  scenarios:\n"
        "    - {file: task.yml}\n    - {file: task.yml, osprofiler: false}\n"
    )
    traced, untraced = load_workload(write(folder, text)).runs

    assert (traced.traced, untraced.traced) == (True, False)
    assert traced.key != untraced.key  # a run without traces is no run with traces


def test_file_without_a_space_is_told_with_the_line_to_write(folder: Path) -> None:
    text = "rally:\n  scenarios:\n    file:nova-boot-and-delete.yml\n    file:b.yml\n"

    assert problems(folder, text) == (
        "run.yml:3:5: `scenarios`: expected a list: "
        "write `- file: nova-boot-and-delete.yml`"
    )


def test_an_entry_that_is_no_mapping_is_told_with_the_line_to_write(
    folder: Path,
) -> None:
    text = "rally:\n  scenarios:\n    - file:task.yml\n"

    assert "write `- file: task.yml`" in problems(folder, text)


def test_all_problems_are_told_at_once_with_their_places(folder: Path) -> None:
    (folder / "broken.yml").write_text("a: {% if %}\n")
    (folder / "wants.yml").write_text("a: {{ size }}\n")
    (folder / "list.yml").write_text("- a\n")
    text = """\
rally:
  scenarios:
    - {file: nova-boot-and-delte.yml}
    - {file: broken.yml}
    - {file: wants.yml}
    - {file: list.yml}
    - {file: task.yml, plugin: mine/}
"""

    lines = problems(folder, text).splitlines()

    assert lines[0] == (
        "run.yml:3:14: there is no task `nova-boot-and-delte.yml` "
        "(did you mean `nova-boot-and-delete.yml`?)"
    )
    assert lines[1].startswith("run.yml:4:14: `broken.yml` is not a template: line 1")
    assert lines[2].startswith("run.yml:5:14: `wants.yml` needs the argument `size`")
    assert lines[3].startswith("run.yml:6:14: `list.yml` is not a Rally task")
    assert lines[4] == "run.yml:7:14: there is no plugin `mine/`"


def test_an_unknown_key_is_told_with_its_place(folder: Path) -> None:
    text = "rally:\n  scenarios:\n    - {file: task.yml, argz: {}}\n"

    assert problems(folder, text).startswith("run.yml:3:24: ")


def test_the_plugin_named_like_the_task_is_found_and_changes_the_key(
    folder: Path,
) -> None:
    text = "rally:\n  scenarios:\n    - {file: task.yml}\n"
    (without,) = load_workload(write(folder, text)).runs
    (folder / "task.py").write_text("VALUE = 1\n")

    (found,) = load_workload(write(folder, text)).runs

    assert found.plugins == (folder / "task.py",)
    assert found.key != without.key


def test_repeated_runs_are_told_apart(folder: Path) -> None:
    text = "rally:\n  scenarios:\n    - {file: task.yml}\n    - {file: task.yml}\n"

    first, second = load_workload(write(folder, text)).runs

    assert second.key == f"{first.key}-2"
    assert second.name == "task #2"


@pytest.mark.parametrize("name", content.names("workloads"))
def test_every_shipped_workload_loads(name: str) -> None:
    workload = load_workload(content.find("workloads", name))

    assert workload.ordered
    assert workload.name == name
    assert workload.warnings == ()


@pytest.mark.parametrize(
    "task",
    sorted((content.folder("workloads") / "rally").glob("*.yml")),
    ids=lambda path: path.stem,
)
def test_every_shipped_task_takes_the_arguments_all_have(task: Path) -> None:
    given = {
        "times": 7,
        "concurrency": 3,
        "image": "cirros",
        "flavor": "m1.big",
        "sla_max_avg_duration": 42,
        "sla_max_seconds": 43,
    }

    assert "max_avg_duration: 42" in rendered(task, given)
    assert "max_seconds_per_iteration: 43" in rendered(task, given)
    assert "times: 7" in rendered(task, given)
    assert "concurrency: 3" in rendered(task, given)
    assert "max_avg_duration" not in rendered(task, {})
    if task.stem.startswith("nova-"):
        assert 'name: "cirros"' in rendered(task, given)
        assert 'name: "m1.big"' in rendered(task, given)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,5}", fullmatch=True),
        st.one_of(st.integers(), st.lists(st.integers(), min_size=1, max_size=4)),
        max_size=4,
    )
)
def test_the_product_has_the_size_of_its_lists(args: dict[str, object]) -> None:
    size = 1
    for value in args.values():
        size *= len(value) if isinstance(value, list) else 1

    made = list(combinations(args))

    assert len(made) == size
    for one in made:
        for key, value in args.items():
            assert one[key] in (value if isinstance(value, list) else [value])


def test_an_argument_with_a_default_or_set_by_itself_is_not_missing() -> None:
    source = "{% set a = a or 1 %}{{ a }}{{ b|default(2) }}{{ c }}{{ range(3) }}"

    assert missing(source, {}) == ("c",)
