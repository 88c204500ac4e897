"""The files that run on the hosts, without a kernel under them."""

import ast
import statistics
import struct
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enos import units
from enos.netem.delayd import Lane, lane_of
from enos.netem.impairment import Chance, GilbertElliott, Spread, quantile, turned
from enos.netem.nfqueue import (
    ACCEPT,
    COPY_META,
    COPY_PACKET,
    DROP,
    PAYLOAD,
    VERDICT,
    VERDICT_BATCH,
    binding,
    payload_of,
    place_of,
    verdict,
)
from enos.netem.prober import checksum
from enos.netem.standalone import standalone
from enos.units import Percent


def verdicts_in(messages: bytes) -> list[tuple[int, int, int, int]]:
    """Return (kind, queue, action, packet) of each message."""
    found, start = [], 0
    while start < len(messages):
        size, kind = struct.unpack_from("=IH", messages, start)
        (queue,) = struct.unpack_from("!H", messages, start + 18)
        action, packet = struct.unpack_from("!II", messages, start + 24)
        assert size % 4 == 0
        found.append((kind, queue, action, packet))
        start += size
    return found


def test_a_verdict_is_laid_out_as_the_kernel_reads_it() -> None:
    message = verdict(VERDICT, 57424, 7, ACCEPT)

    assert struct.unpack_from("=HH", message, 20) == (12, 2)  # NFQA_VERDICT_HDR
    assert verdicts_in(message) == [(VERDICT, 57424, ACCEPT, 7)]


def test_packets_of_one_delay_leave_together_when_due_in_one_batch() -> None:
    lane = lane_of({"queue": 9, "delay_us": 1000})
    for packet, now in ((1, 0.0), (2, 0.0002), (3, 0.005)):
        assert lane.take(packet, now) == b""

    assert lane.due() == pytest.approx(0.001)
    assert lane.release(0.0009) == b""
    assert verdicts_in(lane.release(0.0013)) == [(VERDICT_BATCH, 9, ACCEPT, 2)]
    assert lane.due() == pytest.approx(0.006)


def test_jitter_keeps_each_packet_within_its_bounds_and_lets_it_overtake() -> None:
    lane = lane_of({"queue": 9, "delay_us": 1000, "jitter_us": 500})
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
    lane = lane_of({"queue": 9, "delay_us": 1000, "loss": share})

    answers = [lane.take(packet, 0.0) for packet in range(20_000)]

    lost = [one for answer in answers for one in verdicts_in(answer)]
    assert {action for _, _, action, _ in lost} == {DROP}
    deviation = (20_000 * share * (1 - share)) ** 0.5
    assert abs(len(lost) - 20_000 * share) < 5 * deviation


def test_loss_of_all_packets_is_a_cut_link() -> None:
    lane = lane_of({"queue": 9, "loss": 1.0})

    assert all(lane.take(packet, 0.0) for packet in range(1000))


def fates(lane: Lane, number: int, packet: bytes = b"x" * 60) -> list[str]:
    """Return what becomes of packets that come one by one, in a letter each."""
    letters = []
    for place in range(number):
        answer = lane.take(place, 0.0, packet)
        actions = [action for *_, action, _ in verdicts_in(answer)]
        letters.append({(): "d", (DROP,): "l", (ACCEPT,): "r"}[tuple(actions)])
    return letters


def share_of(letter: str, letters: list[str]) -> float:
    return letters.count(letter) / len(letters)


def agreement(answers: list[bool]) -> float:
    """Return the correlation of each answer with the next."""
    number, share = len(answers) - 1, sum(answers) / len(answers)
    both = sum(a and b for a, b in pairwise(answers)) / number
    return (both - share * share) / (share * (1 - share))


@pytest.mark.parametrize("correlation", [0.0, 0.25, 0.8])
def test_a_correlated_chance_keeps_its_share(correlation: float) -> None:
    chance = Chance(0.1, correlation)

    answers = [chance.happens() for _ in range(50_000)]

    assert sum(answers) / 50_000 == pytest.approx(0.1, abs=0.02)
    assert agreement(answers) == pytest.approx(correlation, abs=0.05)


def test_losses_in_bursts_have_the_share_and_the_memory_of_their_model() -> None:
    model = units.GilbertElliott(p=Percent(1), r=Percent(9), bad=Percent(80))
    losses = GilbertElliott(0.01, 0.09, 0.8, 0.0)

    lost = [losses.happens() for _ in range(100_000)]

    assert 100 * sum(lost) / len(lost) == pytest.approx(model.value, abs=2)
    assert model.value == pytest.approx(8)
    bursts = [len(run) for run in "".join("01"[one] for one in lost).split("0") if run]
    assert sum(bursts) / len(bursts) > 2  # independent ones would come to 1.09


@pytest.mark.parametrize("kind", ["uniform", "normal", "pareto", "paretonormal"])
@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_delays_are_distributed_as_asked_correlated_or_not(
    kind: str, correlation: float
) -> None:
    spread = Spread(0.025, 0.002, kind, correlation)

    drawn = sorted(spread.draw() for _ in range(20_000))

    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        wanted = 0.025 + 0.002 * quantile(kind, share)
        assert drawn[int(share * len(drawn))] == pytest.approx(wanted, abs=0.0005)


def test_correlated_delays_follow_one_another() -> None:
    spread = Spread(0.025, 0.002, "normal", 0.8)

    drawn = [spread.draw() for _ in range(20_000)]

    assert statistics.correlation(drawn[1:], drawn[:-1]) == pytest.approx(0.8, abs=0.03)


def test_a_delay_is_never_negative() -> None:
    assert min(Spread(0.002, 0.002, "normal").delays) == 0.0


def test_the_asked_share_of_packets_overtakes_the_delayed_ones() -> None:
    lane = lane_of({"queue": 9, "delay_us": 1000, "reorder": 0.25})

    letters = fates(lane, 20_000)

    assert share_of("r", letters) == pytest.approx(0.25, abs=0.02)
    assert set(letters) == {"d", "r"}


def test_a_full_queue_drops_and_an_emptied_one_takes_again() -> None:
    lane = lane_of({"queue": 9, "delay_us": 1000, "limit": 3})

    assert fates(lane, 5) == ["d", "d", "d", "l", "l"]
    lane.release(1.0)
    assert fates(lane, 1) == ["d"]


def test_a_packet_is_corrupted_in_one_bit_and_goes_back_in_the_verdict() -> None:
    lane = lane_of({"queue": 9, "delay_us": 1000, "corrupt": 1.0})
    packet = bytes(range(61))

    assert fates(lane, 1, packet) == ["d"]
    message = lane.release(0.002)

    ((_, _, action, _),) = verdicts_in(message)
    assert action == ACCEPT
    size, kind = struct.unpack_from("=HH", message, 32)
    got = message[36 : 32 + size]
    wrong = int.from_bytes(got, "big") ^ int.from_bytes(packet, "big")
    assert (kind, len(got), wrong.bit_count()) == (PAYLOAD, 61, 1)


def test_many_corrupted_packets_fit_into_the_messages_that_carry_them() -> None:
    lane = lane_of({"queue": 9, "delay_us": 1000, "corrupt": 1.0})
    fates(lane, 200, bytes(1500))

    sizes = []
    while lane.due() < 1:
        sizes.append(len(lane.release(1.0)))

    assert max(sizes) <= 1 << 16
    assert sum(sizes) == 200 * (32 + 4 + 1500)


def test_a_packet_that_is_doubled_is_sent_once_more_when_due() -> None:
    sent: list[bytes] = []
    lane = lane_of({"queue": 9, "delay_us": 1000, "duplicate": 1.0}, sent.append)

    assert fates(lane, 3, b"abc") == ["d"] * 3
    assert sent == []
    answers = verdicts_in(lane.release(0.002))

    assert [packet for *_, packet in answers] == [0, 1, 2]
    assert sent == [b"abc"] * 3


def test_loss_takes_one_of_two_copies_as_netem_does() -> None:
    sent: list[bytes] = []
    lane = lane_of({"queue": 9, "duplicate": 1.0, "loss": 1.0}, sent.append)

    assert fates(lane, 5) == ["d"] * 5
    lane.release(1.0)
    assert sent == []


@given(st.binary(min_size=1, max_size=200))
def test_turning_a_bit_changes_one_bit_and_no_length(packet: bytes) -> None:
    wrong = int.from_bytes(turned(packet), "big") ^ int.from_bytes(packet, "big")
    assert wrong.bit_count() == 1
    assert len(turned(packet)) == len(packet)


def test_packets_come_up_whole_only_where_they_must() -> None:
    def copied(name: str) -> int:
        lane = lane_of({"queue": 9, name: 0.1})
        message = binding(9, lane.flags, whole=lane.whole)
        return message[message.index(struct.pack("=HH", 9, 2)) + 8]

    assert copied("loss") == COPY_META
    assert copied("corrupt") == copied("duplicate") == COPY_PACKET


@given(st.integers(0, 65535), st.integers(0, 2**32 - 1), st.binary(max_size=99))
def test_a_message_of_the_kernel_gives_queue_id_and_packet(
    queue: int, packet: int, payload: bytes
) -> None:
    head = struct.pack("=IHHII", 0, 0x300, 0, 0, 0) + struct.pack("!BBH", 2, 0, queue)
    header = struct.pack("=HH", 11, 1) + struct.pack("!IHBx", packet, 0x800, 0)
    size = 4 + len(payload)
    tail = struct.pack("=HH", size, PAYLOAD) + payload + bytes(-size % 4)

    message = head + header + tail

    assert place_of(bytearray(message)) == (queue, packet)
    assert payload_of(message) == payload
    assert payload_of(head + header) == b""


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
