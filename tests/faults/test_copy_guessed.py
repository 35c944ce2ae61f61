"""Streamed copies from a store that does not tell how long an object's parts are, as Ceph RGW.

It answers a HEAD with ``partNumber`` for the whole object. The part size is guessed; the ETag
proves the guess, and where it was wrong, the bytes tell which of the other usual sizes it was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from faults.large import MIB, SMALL_PARTS, begin, long_ago, parts_of, pattern, there, uploads
from faults.trials import CopyTrial
from stores.fault_actions import Action, Exchange, Gate, Response, Rewrite, flipped
from stores.fault_proxy import Rule
from trees import content

TWICE, NO_SIZE = "some objects are sent twice", "none of the usual sizes"
PARTS, GETS = "partNumber=", "/[a-z]+$"


class TellWhole(Action):
    """Take a request for one part for one for the whole."""

    def answer(self, exchange: Exchange) -> Response:
        path = exchange.request.path.partition("?")[0]
        return exchange.forward(replace(exchange.request, path=path))


@dataclass
class Guessing:
    """Copies from such a store; the options of these tests guess parts of 5 MiB."""

    trial: CopyTrial

    def __post_init__(self) -> None:
        self.inject()

    def inject(self, *rules: Rule) -> None:
        assert self.trial.source_proxy
        self.trial.source_proxy.inject(*rules, Rule(TellWhole(), "HEAD", PARTS))

    def put(self, key: str, size: int, *sizes: int) -> bytes:
        """An object in parts of these sizes; of one only: in as many of it as it takes."""
        body = content(size, key)
        if len(sizes) == 1:
            cuts = list(parts_of(body, sizes[0]).values())
        else:
            ends = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
            cuts = [body[a:b] for a, b in pairwise(ends)]
        self.trial.bucket.put_multipart(key, *cuts)
        return body

    def sent(self) -> int:
        return len(self.trial.proxy.hits("PUT", PARTS))

    def fetched(self) -> int:
        assert self.trial.source_proxy
        return len(self.trial.source_proxy.hits("GET", GETS))

    def check_at_rest(self, *keys: str) -> None:
        """The copies have the sources' ETags, and another run moves nothing."""
        trial = self.trial
        for key in keys:
            assert trial.dest.head(key)["ETag"] == trial.bucket.head(key)["ETag"]
        assert uploads(trial.dest) == set()
        before = self.sent(), self.fetched()
        end = trial.run(*SMALL_PARTS)
        assert (end.code, end.reasons) == (0, dict.fromkeys(keys, "same etag")), end.result.err
        assert (self.sent(), self.fetched()) == before


@pytest.fixture
def guessing(moto_through: CopyTrial) -> Guessing:
    return Guessing(moto_through)


def test_the_size_of_this_runs_parts_or_of_a_known_tool_is_right(guessing: Guessing) -> None:
    """Below the threshold too: what the source was sent in counts, not what this run would do."""
    keys = {"ours": (11 * MIB, 5 * MIB), "tools": (20 * MIB, 8 * MIB), "one": (MIB, MIB)}
    bodies = {key: guessing.put(key, *how) for key, how in keys.items()}
    options = ["--part-size=5M", "--multipart-threshold=64M"]
    end = guessing.trial.run(*options)
    assert (end.code, guessing.trial.dest.tree()) == (0, bodies), end.result.err
    assert TWICE not in end.result.err
    assert guessing.sent() == guessing.fetched() == 3 + 3 + 1
    guessing.check_at_rest(*keys)


@pytest.mark.parametrize(
    ("size", "each", "tried"),
    [(15 * MIB + 9, 10 * MIB, 8 * MIB), (13 * MIB, 6 * MIB, 5 * MIB)],
    ids=["two parts", "three parts"],
)
def test_a_wrong_guess_is_put_right_once(
    guessing: Guessing, size: int, each: int, tried: int
) -> None:
    """First as guessed, then fetched in order, and sent in the source's parts; never again."""
    body = guessing.put("large", size, each)
    end = guessing.trial.run(*SMALL_PARTS)
    assert (end.code, guessing.trial.dest.tree()) == (0, {"large": body}), end.result.err
    assert end.result.err.count(TWICE) == 1
    first, then = len(parts_of(body, tried)), len(parts_of(body, each))
    assert (guessing.sent(), guessing.fetched()) == (first + then, 2 * first + then)
    guessing.check_at_rest("large")


def test_the_size_that_was_found_is_tried_first_on_the_next(guessing: Guessing) -> None:
    bodies = {key: guessing.put(key, 13 * MIB, 6 * MIB) for key in ("a", "b", "c")}
    end = guessing.trial.run(*SMALL_PARTS, "--processes=1", "--concurrency=1")
    assert (end.code, guessing.trial.dest.tree()) == (0, bodies)
    assert guessing.sent() == 3 + 3 * 3
    guessing.check_at_rest(*bodies)


def test_parts_of_no_usual_size_are_copied_and_said(guessing: Guessing) -> None:
    """A size that nobody uses, and parts of two sizes: neither is an alarm."""
    bodies = {
        "odd": guessing.put("odd", 16 * MIB + 1, 5 * MIB + 77),
        "uneven": guessing.put("uneven", 18 * MIB, 6 * MIB, 5 * MIB, 7 * MIB),
    }
    end = guessing.trial.run(*SMALL_PARTS)
    assert (end.code, guessing.trial.dest.tree()) == (0, bodies), end.result.err
    assert end.result.err.count(NO_SIZE) == 1
    assert TWICE not in end.result.err
    assert uploads(guessing.trial.dest) == set()


def test_bytes_that_came_wrong_are_no_other_part_size(guessing: Guessing) -> None:
    """The guess is right; a bit of what is sent was flipped on its way here."""
    body = guessing.put("large", 11 * MIB, 5 * MIB)
    guessing.inject(Rule(Rewrite(flipped), "GET", GETS, times=1))
    end = guessing.trial.run(*SMALL_PARTS)
    assert (end.code, guessing.trial.dest.tree()) == (0, {"large": body}), end.result.err
    assert TWICE not in end.result.err
    guessing.check_at_rest("large")


@pytest.mark.parametrize("each", [5 * MIB, 6 * MIB], ids=["as guessed", "as found out"])
def test_what_an_earlier_run_left_is_resumed(guessing: Guessing, each: int) -> None:
    """Whatever likely size its parts have."""
    body = guessing.put("large", 13 * MIB, each)
    begin(guessing.trial.dest, "large", {1: body[:each], 2: body[each : 2 * each]})
    sent = guessing.sent()
    end = guessing.trial.run(*SMALL_PARTS)
    assert (end.code, guessing.trial.dest.tree()) == (0, {"large": body}), end.result.err
    assert guessing.sent() - sent == 1
    assert "2 of 3 parts exist already" in end.result.err
    guessing.check_at_rest("large")


@pytest.mark.parametrize("right", [True, False], ids=["the source's", "others"])
def test_what_was_left_under_a_wrong_guess(guessing: Guessing, right: bool) -> None:
    """Where no size fits, the source's bytes tell whether the parts that were there are its own."""
    body = guessing.put("large", 18 * MIB, 6 * MIB, 5 * MIB, 7 * MIB)
    parts = parts_of(body, 8 * MIB)
    left = {1: parts[1], 2: parts[2] if right else content(8 * MIB, "another")}
    begin(guessing.trial.dest, "large", left)
    guessing.trial.inject(long_ago())
    end = guessing.trial.run("--part-size=8M", "--multipart-threshold=8M")
    assert (end.code, guessing.trial.dest.tree()) == (0, {"large": body}), end.result.err
    assert guessing.sent() == (1 if right else 4)
    assert uploads(guessing.trial.dest) == set()


def test_a_run_killed_under_a_wrong_guess_leaves_one_upload(guessing: Guessing) -> None:
    body = guessing.put("large", 13 * MIB, 6 * MIB)
    gate = Gate()
    # Those as guessed pass, and of those as found out the first: the last does not tell their size.
    guessing.trial.inject(Rule(gate, "PUT", pattern([2, 3]), skip=2))
    running = guessing.trial.start(*SMALL_PARTS)
    guessing.trial.proxy.wait_for(6)
    while not there(guessing.trial.dest, "large"):
        time.sleep(0.02)
    running.kill()
    assert len(uploads(guessing.trial.dest)) == 1
    guessing.trial.inject()
    sent = guessing.sent()
    end = guessing.trial.run(*SMALL_PARTS)
    assert (end.code, guessing.trial.dest.tree()) == (0, {"large": body}), end.result.err
    assert guessing.sent() - sent == 2
    guessing.check_at_rest("large")
