"""Ansible stdout callback: one JSON object per line, read by `enos.ansible.events`.

Runs inside Ansible's process, in the tool's own environment: it must not import enos.
Lines: ``play`` (name), ``task`` (task), ``start`` (host, task), ``ok``, ``changed``,
``skipped``, ``ignored``, ``retry``, ``failed``, ``unreachable`` (host, task, seconds;
message when something went wrong) and ``stats`` (hosts).
"""

import json
import sys
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: enos_events
    type: stdout
    short_description: one JSON object per line
    description: What happens, in a form that is read by a program and by people.
"""

MESSAGE = 4000  # characters kept of a failure's output


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible is untyped
    """Prints the events of a playbook run as JSON lines."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "enos_events"

    def __init__(self) -> None:
        super().__init__()
        self._began: dict[tuple[str, str], float] = {}

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Tell that a play begins."""
        _print("play", name=play.get_name().strip())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002, FBT001  # Ansible's signature
        """Tell that a task begins on all its hosts."""
        _print("task", task=task.get_name())

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Tell that a handler begins on the hosts that notified it."""
        _print("task", task=task.get_name())

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Tell that a task begins on one host."""
        self._began[(host.get_name(), task._uuid)] = time.monotonic()  # noqa: SLF001  # no public id
        _print("start", host=host.get_name(), task=task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        """Tell that a task succeeded."""
        changed = _facts(result).get("changed", False)
        self._done("changed" if changed else "ok", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Tell that a task's condition did not hold."""
        self._done("skipped", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: FBT001, FBT002  # Ansible's signature
        """Tell that a task failed, and why."""
        self._done("ignored" if ignore_errors else "failed", result, _why(result))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Tell that a host does not answer."""
        self._done("unreachable", result, _why(result))

    def v2_runner_retry(self, result: Any) -> None:
        """Tell that a task is tried again."""
        facts = _facts(result)
        _print(
            "retry",
            host=_host(result),
            task=_task(result).get_name(),
            message=f"attempt {facts.get('attempts')} of {facts.get('retries')}",
        )

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Tell how many tasks each host did."""
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        _print("stats", hosts=hosts)

    def _done(self, event: str, result: Any, message: str = "") -> None:
        host, task = _host(result), _task(result)
        began = self._began.pop((host, task._uuid), None)  # noqa: SLF001  # no public id
        seconds = round(time.monotonic() - began, 3) if began else 0.0
        more = {"message": message} if message else {}
        _print(event, host=host, task=task.get_name(), seconds=seconds, **more)


def _print(event: str, **values: Any) -> None:
    at = round(time.time(), 3)
    line = json.dumps({"event": event, "at": at, **values}, default=str)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# ansible-core 2.19 renamed the result's private attributes to public ones.
def _facts(result: Any) -> dict[str, Any]:
    facts: dict[str, Any] = (
        result.result if hasattr(result, "result") else result._result  # noqa: SLF001
    )
    return facts


def _task(result: Any) -> Any:
    return result.task if hasattr(result, "task") else result._task  # noqa: SLF001


def _host(result: Any) -> str:
    host = result.host if hasattr(result, "host") else result._host  # noqa: SLF001
    return str(host.get_name())


def _why(result: Any) -> str:
    facts = _facts(result)
    if facts.get("_ansible_no_log"):
        return "hidden, since the task handles a secret"
    failed = [item for item in facts.get("results", []) if item.get("failed")]
    source = failed[0] if failed else facts
    parts = (source.get(key) for key in ("msg", "stderr", "module_stderr", "stdout"))
    return "\n".join(str(part).strip() for part in parts if part)[:MESSAGE]
