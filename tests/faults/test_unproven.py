"""What a store acknowledges and does not show to be so is looked at, and never believed.

The fault: a store that answers a completion with success, and holds nothing, or something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from faults.accounting import Ending
from faults.large import MIB, SMALL_PARTS
from faults.trials import CopyTrial, PutTrial
from stores.fault_actions import (
    Action,
    Exchange,
    Response,
    Rewrite,
    Say,
    SetHeaders,
    Status,
    chain,
)
from stores.fault_proxy import Rule

SIZE = 6 * MIB  # two parts
MD5 = "d41d8cd98f00b204e9800998ecf8427e"
COMPLETE = "CompleteMultipartUploadResult"
ETAG = re.compile(rb"<ETag>[^<]*</ETag>")


def said(etag: str | None) -> Response:
    """A completion that succeeded, for all that it says."""
    told = "" if etag is None else f"<ETag>&quot;{etag}&quot;</ETag>" if etag else "<ETag></ETag>"
    return Response(200, (), f"<{COMPLETE}><Key>k</Key>{told}</{COMPLETE}>".encode())


@dataclass(frozen=True)
class HalfCompleted(Action):
    """Make an object of the first part alone, and tell no ETag."""

    def answer(self, exchange: Exchange) -> Response:
        asked = exchange.request
        body = re.sub(rb"</Part>.*</Part>", b"</Part>", asked.body, flags=re.DOTALL)
        exchange.forward(replace(asked, body=body.ljust(len(asked.body))))
        return said("")


NO_ETAG = Rewrite(lambda body: ETAG.sub(b"", body))
OPAQUE = Rewrite(lambda body: ETAG.sub(b"<ETag>CkQVtQbG3sFqLmXa9Wd2</ETag>", body))
FALSE: dict[str, Action] = {
    "no-parts": Say(said(f"{MD5}-0")),
    "more-parts": Say(said(f"{MD5}-3")),
    "one-piece": Say(said(MD5)),
    "no-etag": Say(said(None)),
    "empty-etag": Say(said("")),
    "half": HalfCompleted(),
}
TRUE: dict[str, Action] = {"true-no-etag": NO_ETAG, "true-opaque": OPAQUE, "true": Action()}


def completions(actions: Mapping[str, Action]) -> list[Rule]:
    return [Rule(action, "POST", rf"/{key}\?uploadId=") for key, action in actions.items()]


def check_believed(end: Ending, trial: PutTrial | CopyTrial) -> None:
    """Only what is there was believed, and looked at just once where the answer shows nothing."""
    assert (end.code, end.kinds) == (1, dict.fromkeys(FALSE, "integrity"))
    assert end.done.keys() == TRUE.keys()
    looked = {key: len(trial.proxy.hits("HEAD", f"/{key}$")) for key in TRUE}
    assert looked == {"true-no-etag": 1, "true-opaque": 1, "true": 0}


def test_a_completed_upload_that_holds_something_else_is_no_success(moto_trial: PutTrial) -> None:
    moto_trial.tree(dict.fromkeys([*FALSE, *TRUE], SIZE))
    moto_trial.inject(*completions({**FALSE, **TRUE}))
    end = moto_trial.run(*SMALL_PARTS, "--mode=stupid")
    check_believed(end, moto_trial)
    assert "ETag d41d8cd98f00b204e9800998ecf8427e-0" in end.failed["no-parts"]["message"]
    assert f"{5 * MIB} bytes, and {SIZE} were sent" in end.failed["half"]["message"]


def test_so_it_is_for_copies_by_the_store(moto_copy: CopyTrial) -> None:
    check_copies(moto_copy)


@pytest.mark.thorough
def test_so_it_is_for_copies_through_this_machine(moto_through: CopyTrial) -> None:
    check_copies(moto_through)


def check_copies(trial: CopyTrial) -> None:
    false = {key: FALSE[key] for key in ("no-parts", "no-etag")}
    contents = trial.fill(dict.fromkeys([*false, *TRUE], SIZE))
    for key, body in contents.items():
        trial.bucket.put_multipart(key, body[: 5 * MIB], body[5 * MIB :])
    trial.inject(*completions({**false, **TRUE}))
    end = trial.run(*SMALL_PARTS, "--mode=stupid")
    assert (end.code, end.kinds) == (1, dict.fromkeys(false, "integrity"))
    assert end.done.keys() == TRUE.keys()


def test_what_may_not_be_looked_at_is_not_believed(moto_trial: PutTrial) -> None:
    moto_trial.tree({"large": SIZE, "small": 1000})
    moto_trial.inject(
        Rule(NO_ETAG, "POST", r"/large\?uploadId="),
        Rule(SetHeaders((("ETag", ""),)), "PUT", "/small$"),
        Rule(Status(403, "AccessDenied"), "HEAD", "/(large|small)$"),
    )
    end = moto_trial.run(*SMALL_PARTS, "--mode=stupid")
    assert (end.code, end.kinds) == (1, {"large": "integrity", "small": "integrity"})
    assert end.result.err.count("allow HeadObject") == 2


# Objects sent whole


LOST = Say(Response(200, ()))  # acknowledged, without an ETag, and not stored
UNTOLD = SetHeaders((("ETag", ""),))


def test_a_put_without_an_etag_is_looked_at(moto_trial: PutTrial) -> None:
    moto_trial.tree({"lost": 1000, "untold": 1000, "streamed": MIB})
    moto_trial.inject(Rule(LOST, "PUT", "/lost$"), Rule(UNTOLD, "PUT", "/(untold|streamed)$"))
    end = moto_trial.run("--mode=stupid")
    assert (end.code, end.kinds) == (1, {"lost": "integrity"})
    assert end.done.keys() == {"untold", "streamed"}
    assert moto_trial.puts("untold") == 1
    assert len(moto_trial.proxy.hits("HEAD", "/untold$")) == 1


@pytest.mark.parametrize("way", ["moto_copy", "moto_through"])
def test_so_is_a_copy(request: pytest.FixtureRequest, way: str) -> None:
    trial: CopyTrial = request.getfixturevalue(way)
    trial.fill({"lost": 1000, "untold": 1000})
    result = Rewrite(lambda body: ETAG.sub(b"", body))
    lost = chain(LOST, Action())
    if way == "moto_copy":
        body = b"<CopyObjectResult><LastModified>2026-11-20T12:00:00Z</LastModified>"
        lost = chain(Say(Response(200, (), body + b"</CopyObjectResult>")))
    trial.inject(Rule(lost, "PUT", "/lost$"), Rule(chain(UNTOLD, result), "PUT", "/untold$"))
    end = trial.run("--mode=stupid")
    assert (end.code, end.kinds) == (1, {"lost": "integrity"})
    assert end.done.keys() == {"untold"}
