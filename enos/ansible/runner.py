"""Running Ansible: events to the step, output to a log, failures as errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from enos.ansible.events import Event, failures, parse, waiting_for
from enos.errors import PlaybookError
from enos.process import Shell
from enos.progress import Step

SHOWN = 5  # hosts named in the message of an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process that runs playbooks: `ansible-playbook` or `kolla-ansible`.

    Attributes:
        title: what it does, for people: ``nova``.
        log: where its output goes, added to what is there.

    """

    title: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)


def run(
    plan: Run,
    *,
    shell: Shell,
    step: Step,
    stop: Callable[[], None] = lambda: None,
) -> tuple[Event, ...]:
    """Run to the end and return the events.

    `stop` is called at every line and may raise to end the run. Raises PlaybookError
    with every host that failed or was unreachable, and its task.
    """
    events: list[Event] = []

    def on_line(line: str) -> None:
        stop()
        event = parse(line)
        if event is None:
            return
        events.append(event)
        if event.kind in {"task", "start", "retry"}:
            step.awaiting(waiting_for(event))

    done = shell.stream(
        plan.argv, log=plan.log, on_line=on_line, env=plan.env, check=False
    )
    bad = failures(events)
    if bad or not done.ok:
        raise failure(plan, bad, done.returncode, done.stdout)
    return tuple(events)


def failure(
    plan: Run, bad: tuple[Event, ...], returncode: int, tail: str
) -> PlaybookError:
    """Return the error for a run in which hosts failed, or that failed as a whole."""
    hint = f"the whole output is in `{plan.log}`"
    if not bad:
        message = f"Ansible ended with status {returncode} while doing {plan.title}"
        return PlaybookError(message, hint=hint, details=tail)
    named = ", ".join(f"`{event.host}`" for event in bad[:SHOWN])
    more = f" and {len(bad) - SHOWN} more hosts" if len(bad) > SHOWN else ""
    what = "failed on" if bad[0].kind == "failed" else "could not reach"
    message = f"{plan.title}: `{bad[0].task}` {what} {named}{more}"
    details = "\n".join(
        f"{event.host}: {event.task}: {event.message}".rstrip(": ") for event in bad
    )
    return PlaybookError(message, hint=hint, details=details)
