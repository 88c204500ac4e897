from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from enos.errors import ProcessError
from enos.testing import Answer, RecordingProgress, RecordingShell

if TYPE_CHECKING:
    from enos.process import Shell
    from enos.progress import Progress


def test_an_unscripted_command_succeeds_and_is_remembered() -> None:
    shell: Shell = (recorded := RecordingShell())
    assert shell.run(["ls", Path("/")], stdin="x").ok
    assert recorded.argvs == [("ls", "/")]
    assert recorded.calls[0].stdin == "x"


def test_a_strict_shell_refuses_what_nobody_scripted() -> None:
    with pytest.raises(AssertionError, match="rm -rf"):
        RecordingShell(strict=True).run(["rm", "-rf", "/"])


def test_the_latest_matching_pattern_answers() -> None:
    shell = RecordingShell()
    shell.on("docker *", stdout="any")
    shell.on("docker ps*", stdout="ps")
    assert shell.run(["docker", "ps", "-a"]).stdout == "ps"
    assert shell.run(["docker", "info"]).stdout == "any"


def test_a_scripted_failure_raises_unless_unchecked() -> None:
    shell = RecordingShell()
    shell.on("false", stderr="no", returncode=3)
    assert shell.run(["false"], check=False).returncode == 3
    with pytest.raises(ProcessError) as caught:
        shell.run(["false"])
    assert caught.value.details == "no"


def test_answers_come_in_turn_and_the_last_one_stays() -> None:
    shell = RecordingShell()
    shell.script("is-up", Answer(returncode=1), Answer(stdout="up"))
    outcomes = [shell.run(["is-up"], check=False).returncode for _ in range(3)]
    assert outcomes == [1, 0, 0]


def test_a_streamed_answer_reaches_the_listener_line_by_line(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.on("build", stdout="one\ntwo\n")
    heard: list[str] = []
    shell.stream(["build"], log=tmp_path / "log", on_line=heard.append)
    assert heard == ["one", "two"]
    assert shell.calls[0].log == tmp_path / "log"


def test_progress_keeps_steps_decisions_and_warnings() -> None:
    progress: Progress = (recorded := RecordingProgress())
    with progress.step("nodes", host="control-1") as step:
        step.awaiting("sshd")
    with pytest.raises(ValueError, match="boom"), progress.step("bad"):
        raise ValueError("boom")
    progress.decision("user space")
    progress.warn("slow disk")
    assert [(s.title, s.outcome) for s in recorded.steps] == [
        ("nodes", "done"),
        ("bad", "failed"),
    ]
    assert recorded.steps[0].awaited == ["sshd"]
    assert (recorded.decisions, recorded.warnings) == (["user space"], ["slow disk"])
