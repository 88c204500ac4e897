"""All hosts or none: what `apply` sends, and what it does when a host refuses."""

import json

import pytest

from enos.config.constraints import NetworkConstraints
from enos.errors import EmulationError, ProcessError
from enos.netem import (
    Backend,
    EmulationPlan,
    apply,
    controller_addresses,
    plan_emulation,
    probe_backend,
    reset,
)
from enos.testbed import Host, Network, Nic, Testbed
from enos.testing.recording import Answer, Call, RecordingProgress, RecordingShell
from enos.units import Duration


def node(number: int, *groups: str) -> Host:
    nic = Nic(device="eth0", network="api", addresses=(f"10.0.0.{number}/24",))
    return Host(name=f"n{number}", address=f"n{number}", groups=groups, nics=(nic,))


BED = Testbed(
    provider="t",
    hosts=(node(1, "a"), node(2, "b"), node(3)),
    networks=(Network(name="api", cidr="10.0.0.0/24", roles=("api",)),),
)
PLAN = plan_emulation(NetworkConstraints(default_delay=Duration(ms=5)), BED)


def applied(shell: RecordingShell, plan: EmulationPlan = PLAN) -> None:
    apply(plan, BED, shell, RecordingProgress(), backend=Backend.USER_SPACE)


def sent_to(shell: RecordingShell, host: str) -> list[str]:
    return [call.stdin for call in shell.calls if f"root@{host}" in call.argv]


def clears_only(script: str) -> bool:
    return script.rstrip().endswith("\nalone\nclear_all")


def test_a_host_that_refuses_takes_the_shaping_off_all_others() -> None:
    shell = RecordingShell()
    shell.on("ssh *root@n2*", stderr="first\nRTNETLINK: no", returncode=2)

    with pytest.raises(EmulationError, match=r"`n2` refused .*: RTNETLINK: no"):
        applied(shell)

    for host in ("n1", "n2", "n3"):
        assert clears_only(sent_to(shell, host)[-1])


def test_a_host_that_says_otherwise_takes_the_shaping_off_all_others() -> None:
    with pytest.raises(EmulationError, match=r"not emulated as planned on `n1`, `n2`"):
        applied(shell := RecordingShell())

    assert clears_only(sent_to(shell, "n1")[-1])


def test_a_host_that_does_not_answer_when_cleared_does_not_hide_the_refusal() -> None:
    def silent(call: Call) -> Answer:
        if clears_only(call.stdin):
            raise ProcessError("`n1` did not answer within 120 s")
        return Answer()

    shell = RecordingShell()
    shell.script("ssh *root@n1*", silent)
    shell.on("ssh *root@n2*", stderr="RTNETLINK: no", returncode=2)

    with pytest.raises(EmulationError, match=r"`n2` refused .*: RTNETLINK: no") as told:
        applied(shell)

    assert "not cleared afterwards: `n1` did not answer" in told.value.details
    assert told.value.hint == (
        "not cleared afterwards: `n1` did not answer within 120 s; "
        "run `enos tc --reset`"
    )


def test_who_breaks_it_off_is_told_where_shaping_is_left() -> None:
    def interrupted(call: Call) -> Answer:
        if clears_only(call.stdin):
            return Answer(stderr="no route to host", returncode=255)
        raise KeyboardInterrupt

    shell, progress = RecordingShell(), RecordingProgress()
    shell.script("ssh *root@n1*", interrupted)

    with pytest.raises(KeyboardInterrupt):
        apply(PLAN, BED, shell, progress, backend=Backend.USER_SPACE)

    (warning,) = progress.warnings
    assert warning == (
        "not cleared afterwards: the emulation on `n1` is not removed: "
        "no route to host; run `enos tc --reset`"
    )


def test_a_host_outside_the_plan_is_cleared_of_an_earlier_one() -> None:
    shell = RecordingShell()
    applied(shell, EmulationPlan(interfaces=()))

    assert [clears_only(script) for script in sent_to(shell, "n3")] == [True]


def test_a_reset_that_fails_somewhere_names_the_host() -> None:
    shell = RecordingShell()
    shell.on("ssh *root@n3*", stderr="connection refused", returncode=255)

    with pytest.raises(EmulationError, match=r"on `n3` is not removed: conn.*") as told:
        reset(BED, shell, RecordingProgress())

    assert told.value.hint == ("run `enos tc --reset` again; `enos ssh n3` shows why")


def test_the_choice_of_back_end_is_recorded_with_its_reason() -> None:
    def answer(call: Call) -> Answer:
        found = "tc htb ipset nfqueue queues python3"
        return Answer(stdout=found if "probe" in call.stdin else "")

    shell, progress = RecordingShell(), RecordingProgress()
    shell.script("ssh *", answer)

    assert probe_backend(BED, shell, progress).backend is Backend.USER_SPACE
    (decision,) = progress.decisions
    assert decision == ("network emulation by user-space: no sch_netem on n1, n2, n3")


def test_the_addresses_of_this_machine_are_those_others_can_reach() -> None:
    link = {
        "addr_info": [
            {"local": "127.0.0.1", "scope": "host"},
            {"local": "10.0.0.7", "scope": "global"},
            {"local": "fe80::1", "scope": "link"},
        ]
    }
    shell = RecordingShell()
    shell.on("ip -j address", stdout=json.dumps([link, {}]))

    assert controller_addresses(shell) == ("10.0.0.7",)
    assert controller_addresses(RecordingShell()) == ()
