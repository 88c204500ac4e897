"""Making an emulated network real: apply, check and reset, on all hosts at once."""

import json
from collections.abc import Mapping
from pathlib import Path

from enos.errors import CapabilityError, EmulationError, EnosError
from enos.netem.commands import (
    Backend,
    HostCommands,
    clearing_script,
    commands,
)
from enos.netem.plan import EmulationPlan
from enos.netem.readback import faults
from enos.process import Completed, Shell
from enos.progress import Progress
from enos.remote import on_each, run_on
from enos.testbed import Host, Testbed

PATIENCE = 120.0  # seconds a host may take for its script
RESET = "run `enos tc --reset`"


def apply(
    plan: EmulationPlan,
    testbed: Testbed,
    shell: Shell,
    progress: Progress,
    *,
    backend: Backend,
    sockets: Path | None = None,
) -> None:
    """Make the network what the plan says, on all hosts or on none.

    What enos emulated before is replaced, also on hosts the plan does not name.

    Raises:
        EmulationError: a host refused, or says otherwise when asked. Nothing is left
            then, save on hosts that could not be cleared, which the error names.

    """
    told = commands(plan, backend)
    title = f"Emulate the network ({backend}, {len(told)} hosts)"
    with progress.step(title) as step:

        def shape(host: Host) -> Completed:
            mine = told.get(host.name)
            script = mine.script if mine else clearing_script()
            return _run(shell, host, script, sockets)

        try:
            _raise_refusals(on_each(testbed.hosts, shape))
            step.awaiting("what the hosts say they do")
            _check(told, testbed, shell, sockets)
        except BaseException as why:
            left = _left(testbed, shell, sockets)
            if left and isinstance(why, EnosError):
                why.details = "\n".join(filter(None, (why.details, left)))
                why.hint = f"{left}; {RESET}"
            elif left:
                progress.warn(f"{left}; {RESET}")
            raise


def _left(testbed: Testbed, shell: Shell, sockets: Path | None) -> str:
    """Take the shaping off all hosts; return where that failed, empty for nowhere."""
    try:
        _raise_left(on_each(testbed.hosts, lambda host: _clear(shell, host, sockets)))
    except EnosError as failed:
        return f"not cleared afterwards: {failed.message}"
    return ""


def check(
    plan: EmulationPlan,
    testbed: Testbed,
    shell: Shell,
    *,
    backend: Backend,
    sockets: Path | None = None,
) -> None:
    """Compare what the hosts say they do with the plan.

    Raises EmulationError that names each host and what is missing there, be it a queue
    whose daemon died or a tree somebody else removed.
    """
    _check(commands(plan, backend), testbed, shell, sockets)


def reset(
    testbed: Testbed,
    shell: Shell,
    progress: Progress,
    *,
    sockets: Path | None = None,
) -> None:
    """Remove what enos added to the hosts' networks, and nothing else.

    Raises EmulationError that names the hosts where it could not.
    """
    with progress.step("Remove the network emulation"):
        _raise_left(on_each(testbed.hosts, lambda host: _clear(shell, host, sockets)))


def controller_addresses(shell: Shell) -> tuple[str, ...]:
    """Return the addresses of this machine, for `plan_emulation`; () without ip(8)."""
    try:
        said = shell.run(("ip", "-j", "address"), check=False).stdout
    except CapabilityError:
        return ()  # not Linux, hence not one of the testbed's hosts
    return global_addresses(said)


def global_addresses(said: str) -> tuple[str, ...]:
    """Return the addresses in what ``ip -j address`` says that others can reach."""
    return tuple(
        address["local"]
        for link in json.loads(said or "[]")
        for address in link.get("addr_info", ())
        if address.get("scope") == "global"
    )


def _run(shell: Shell, host: Host, script: str, sockets: Path | None) -> Completed:
    return run_on(
        shell,
        host,
        ("sh", "-s"),
        stdin=script,
        check=False,
        timeout=PATIENCE,
        sockets=sockets,
    )


def _clear(shell: Shell, host: Host, sockets: Path | None) -> Completed:
    return _run(shell, host, clearing_script(), sockets)


def _check(
    told: Mapping[str, HostCommands],
    testbed: Testbed,
    shell: Shell,
    sockets: Path | None,
) -> None:
    def ask(host: Host) -> tuple[str, ...]:
        done = _run(shell, host, told[host.name].report_script, sockets)
        if not done.ok:
            return (_last_line(done),)
        return faults(told[host.name], done.stdout)

    answers = on_each([h for h in testbed.hosts if h.name in told], ask)
    wrong = {host: several for host, several in answers.items() if several}
    if wrong:
        first = next(iter(wrong))
        raise EmulationError(
            f"the network is not emulated as planned on {_names(wrong)}: "
            f"{wrong[first][0]}",
            hint="apply it again with `enos tc`",
            details=_listed(wrong),
        )


def _raise_refusals(done: Mapping[str, Completed]) -> None:
    refused = _failed(done)
    if refused:
        first = next(iter(refused))
        raise EmulationError(
            f"{_names(refused)} refused the network emulation: {refused[first][0]}",
            hint="nothing is left shaped; `enos tc --plan` prints every command",
            details=_listed(refused),
        )


def _raise_left(done: Mapping[str, Completed]) -> None:
    shaped = _failed(done)
    if shaped:
        first = next(iter(shaped))
        raise EmulationError(
            f"the emulation on {_names(shaped)} is not removed: {shaped[first][0]}",
            hint=f"{RESET} again; `enos ssh {first}` shows why",
            details=_listed(shaped),
        )


def _failed(done: Mapping[str, Completed]) -> dict[str, tuple[str, ...]]:
    return {host: (_last_line(one),) for host, one in done.items() if not one.ok}


def _last_line(done: Completed) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else f"status {done.returncode}"


def _names(hosts: Mapping[str, object]) -> str:
    return ", ".join(f"`{host}`" for host in hosts)


def _listed(wrong: Mapping[str, tuple[str, ...]]) -> str:
    return "\n".join(f"{host}: {what}" for host, all_ in wrong.items() for what in all_)
