"""ETags that are weak: ``W/"…"`` names the object as well, and no condition knows it.

They are what a proxy makes of ETags when it may change bodies, and what some stores write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from hashlib import md5

import pytest

from faults.accounting import Ending
from faults.large import MIB, SMALL_PARTS
from faults.trials import CopyTrial, GetTrial
from stores.fault_actions import Action, Exchange, Response, Rewrite, chain, error, flipped
from stores.fault_proxy import Rule

SIZES = {"small": 3000, "large": MIB, "ranged": 11 * MIB}
FAULTS = {"shorter": Rewrite(lambda body: body[:-1]), "flipped": Rewrite(flipped)}
VICTIMS = {f"{fault}-{size}": SIZES[size] for fault in FAULTS for size in SIZES}
LISTED = Rewrite(lambda page: re.sub(rb'<ETag>(&quot;|")', rb"<ETag>W/\1", page))


@dataclass(frozen=True)
class Weak(Action):
    """Answer with weak ETags, against which no condition holds (RFC 9110, 13.1.1)."""

    upper: bool = False  # and in upper case

    def answer(self, exchange: Exchange) -> Response:
        names = ("if-match", "x-amz-copy-source-if-match")
        if any(exchange.request.header(name) for name in names):
            return error(412, "PreconditionFailed")
        response = exchange.forward()
        headers = tuple((name, self._weak(name, value)) for name, value in response.headers)
        return replace(response, headers=headers)

    def _weak(self, name: str, value: str) -> str:
        if name.lower() != "etag":
            return value
        return f"W/{value.upper() if self.upper else value}"


def harmed(times: int, weak: Action) -> list[Rule]:
    """Rules by which each victim meets its fault so many times (0: always), under a weak ETag."""
    faults = [
        Rule(chain(FAULTS[key.partition("-")[0]], weak), "GET", f"/{key}$", times=times)
        for key in VICTIMS
    ]
    return [*faults, Rule(weak, "GET|HEAD", r"/[\w-]+$")]


def check_all_arrived(end: Ending, trial: CopyTrial | GetTrial, contents: dict[str, bytes]) -> None:
    assert end.code == 0, (end.kinds, end.result.err)
    assert trial.arrived() == contents


@pytest.mark.parametrize("listed", [True, False], ids=["listed weak", "listed strong"])
def test_what_is_got_under_a_weak_etag_is_verified(moto_get: GetTrial, listed: bool) -> None:
    contents = moto_get.fill({**VICTIMS, "other": 11 * MIB})
    listing = [Rule(LISTED, "GET", "list-type=2")] if listed else []
    moto_get.inject(*listing, *harmed(0, Weak()))
    end = moto_get.run(*SMALL_PARTS)
    assert (end.code, end.kinds) == (1, dict.fromkeys(VICTIMS, "integrity"))
    assert moto_get.files() == {"other": contents["other"]}
    assert any(hit.request.header("range") for hit in moto_get.proxy.hits("GET", "/other$"))
    moto_get.inject(*listing, *harmed(1, Weak(upper=True)))
    check_all_arrived(moto_get.run(*SMALL_PARTS), moto_get, contents)
    again = moto_get.run()
    assert again.reasons == dict.fromkeys(contents, "same etag")


def test_an_etag_that_proves_nothing_is_fetched_in_one(moto_get: GetTrial) -> None:
    """No condition holds against a weak one, and no header can hold one that is not ASCII."""
    tags = {"opaque": 'W/"CkQVtQbG3sFqLmXa9Wd2"', "odd": '"sch\u00f6n"'}
    contents = moto_get.fill(dict.fromkeys(tags, 11 * MIB))
    stored = {md5(contents[key]).hexdigest(): tag for key, tag in tags.items()}

    def opaque(text: str) -> str:
        return re.sub(r'"([0-9a-f]{32})"', lambda match: stored[match[1]], text)

    @dataclass(frozen=True)
    class Opaque(Action):
        def answer(self, exchange: Exchange) -> Response:
            response = exchange.forward()
            headers = tuple((name, opaque(value)) for name, value in response.headers)
            return replace(response, headers=headers)

    page = Rewrite(lambda page: opaque(page.decode()).encode())
    moto_get.inject(Rule(page, "GET", "list-type=2"), Rule(Opaque(), "GET|HEAD", "/(opaque|odd)$"))
    check_all_arrived(moto_get.run(*SMALL_PARTS), moto_get, contents)
    for key in tags:
        assert [hit.request.header("range") for hit in moto_get.proxy.hits("GET", f"/{key}$")] == [
            ""
        ]


def test_a_pin_that_the_store_never_takes_is_done_without(moto_get: GetTrial) -> None:
    contents = moto_get.fill({"ranged": 11 * MIB})

    @dataclass(frozen=True)
    class Pinless(Action):
        def answer(self, exchange: Exchange) -> Response:
            pinned = exchange.request.header("if-match")
            return error(412, "PreconditionFailed") if pinned else exchange.forward()

    moto_get.inject(Rule(Pinless(), "GET", "/ranged$"))
    check_all_arrived(moto_get.run(*SMALL_PARTS), moto_get, contents)


def test_what_is_copied_through_under_a_weak_etag_is_verified(moto_through: CopyTrial) -> None:
    contents = moto_through.fill({**VICTIMS, "other": 11 * MIB})
    source = moto_through.source_proxy
    assert source
    source.inject(*harmed(0, Weak()))
    end = moto_through.run(*SMALL_PARTS)
    assert (end.code, end.kinds) == (1, dict.fromkeys(VICTIMS, "integrity"))
    assert moto_through.dest.tree() == {"other": contents["other"]}
    source.inject(Rule(LISTED, "GET", "list-type=2"), *harmed(1, Weak()))
    check_all_arrived(moto_through.run(*SMALL_PARTS), moto_through, contents)


def test_a_weak_source_is_copied_by_the_store_without_a_pin(moto_copy: CopyTrial) -> None:
    contents = moto_copy.fill({"one": 3000, "two": MIB})
    moto_copy.inject(Rule(Weak(), "PUT|GET|HEAD", r"/[\w-]+$"))
    check_all_arrived(moto_copy.run(), moto_copy, contents)


def test_a_range_is_compared_where_it_cannot_be_pinned(moto_get: GetTrial) -> None:
    contents = moto_get.fill({"ranged": 11 * MIB})
    new = contents["ranged"][::-1]
    replaced: list[str] = []

    @dataclass(frozen=True)
    class Replacing(Action):
        def answer(self, exchange: Exchange) -> Response:
            if not replaced:
                replaced.append(moto_get.bucket.put("ranged", new))
            return Weak().answer(exchange)

    weak = Weak()
    moto_get.inject(
        Rule(Replacing(), "GET", "/ranged$", header="Range: bytes=5242880-"),
        Rule(weak, "GET|HEAD", "/ranged$"),
    )
    check_all_arrived(moto_get.run(*SMALL_PARTS), moto_get, {"ranged": new})
