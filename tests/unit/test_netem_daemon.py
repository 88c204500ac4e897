"""The files that run on the hosts, without a kernel under them."""

import ast
import struct
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enos.netem.delayd import ACCEPT, DROP, VERDICT, VERDICT_BATCH, Lane, verdict
from enos.netem.prober import checksum
from enos.netem.standalone import standalone


def verdicts_in(messages: bytes) -> list[tuple[int, int, int, int]]:
    """Return (kind, queue, action, packet) of each message."""
    found = []
    for start in range(0, len(messages), 32):
        size, kind = struct.unpack_from("=IH", messages, start)
        (queue,) = struct.unpack_from("!H", messages, start + 18)
        action, packet = struct.unpack_from("!II", messages, start + 24)
        assert size == 32
        found.append((kind, queue, action, packet))
    return found


def test_a_verdict_is_laid_out_as_the_kernel_reads_it() -> None:
    message = verdict(VERDICT, 57424, 7, ACCEPT)

    assert struct.unpack_from("=HH", message, 20) == (12, 2)  # NFQA_VERDICT_HDR
    assert verdicts_in(message) == [(VERDICT, 57424, ACCEPT, 7)]


def test_packets_of_one_delay_leave_together_when_due_in_one_batch() -> None:
    lane = Lane(queue=9, delay_us=1000)
    for packet, now in ((1, 0.0), (2, 0.0002), (3, 0.005)):
        assert lane.take(packet, now) == b""

    assert lane.due() == pytest.approx(0.001)
    assert lane.release(0.0009) == b""
    assert verdicts_in(lane.release(0.0013)) == [(VERDICT_BATCH, 9, ACCEPT, 2)]
    assert lane.due() == pytest.approx(0.006)


def test_jitter_keeps_each_packet_within_its_bounds_and_lets_it_overtake() -> None:
    lane = Lane(queue=9, delay_us=1000, jitter_us=500)
    for packet in range(200):
        lane.take(packet, 0.0)

    left: dict[int, float] = {}
    while lane.due() < float("inf"):
        now = lane.due()
        left |= {p: now for *_, p in verdicts_in(lane.release(now))}

    assert len(left) == 200
    assert 0.0005 <= min(left.values()) < max(left.values()) <= 0.0015
    assert list(left) != sorted(left)


@pytest.mark.parametrize("share", [0.01, 0.25])
def test_the_asked_share_of_packets_is_lost_at_once(share: float) -> None:
    lane = Lane(queue=9, delay_us=1000, loss=share)

    answers = [lane.take(packet, 0.0) for packet in range(20_000)]

    lost = [one for answer in answers for one in verdicts_in(answer)]
    assert {action for _, _, action, _ in lost} == {DROP}
    deviation = (20_000 * share * (1 - share)) ** 0.5
    assert abs(len(lost) - 20_000 * share) < 5 * deviation


def test_loss_of_all_packets_is_a_cut_link() -> None:
    lane = Lane(queue=9, loss=1.0)

    assert all(lane.take(packet, 0.0) for packet in range(1000))


@settings(deadline=None)  # machines may be busy
@given(st.binary(min_size=2, max_size=64).filter(lambda data: len(data) % 2 == 0))
def test_data_with_its_checksum_added_sums_to_zero(data: bytes) -> None:
    assert checksum(data + struct.pack("!H", checksum(data))) == 0


@pytest.mark.parametrize("name", ["delayd.py", "prober.py"])
def test_what_runs_on_a_host_needs_the_standard_library_of_python_3_8(
    name: str,
) -> None:
    tree = ast.parse(standalone(name), feature_version=(3, 8))

    modules = {
        alias.name if isinstance(node, ast.Import) else node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert modules <= set(sys.stdlib_module_names)
    assert "hurry" in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
