"""Grants that are added to the ACLs of objects, and stores that refuse them."""

from __future__ import annotations

from typing import Any

import pytest

from faults.trials import CopyTrial, PutTrial, Transfer
from stores.fault_actions import Reset, Status
from stores.fault_proxy import Rule
from stores.store import Bucket

ACCOUNT = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
ALL = "http://acs.amazonaws.com/groups/global/AllUsers"
GRANTS = [f"--grant-to=READ:{ACCOUNT}", "--grant-to=read_acp:AllUsers"]
EMAIL = "--grant-to=READ:someone@example.org"
REFUSED = "the store refuses --grant-to: MethodNotAllowed"
ACL = r"[?]acl="


def grants(bucket: Bucket, key: str) -> set[tuple[str, str]]:
    """Who may do what, by ID or URI; the owner by that name."""
    found = bucket.client.get_object_acl(Bucket=bucket.name, Key=key)
    owner = found["Owner"]["ID"]

    def name(grantee: dict[str, Any]) -> str:
        own = grantee.get("ID") == owner
        return "owner" if own else str(grantee.get("URI") or grantee.get("ID"))

    return {(name(each["Grantee"]), each["Permission"]) for each in found["Grants"]}


def requests(trial: Transfer, method: str = "") -> int:
    """How many requests were about ACLs."""
    return len(trial.proxy.hits(method, ACL))


WANTED = {("owner", "FULL_CONTROL"), (ACCOUNT, "READ"), (ALL, "READ_ACP")}


def test_uploads_keep_the_grants_that_they_have(moto_trial: PutTrial) -> None:
    sizes = {"small": 10, "large": 9 << 20, "a b&<ü": 1}
    moto_trial.tree(sizes)
    parts = ("--multipart-threshold=8MiB", "--part-size=5MiB")
    end = moto_trial.run(*GRANTS, *parts, "--acl=public-read")
    assert (end.code, set(end.done)) == (0, set(sizes)), end.result.err
    for key in sizes:
        assert grants(moto_trial.bucket, key) == {*WANTED, (ALL, "READ")}
    assert requests(moto_trial) == 2 * len(sizes)
    again = moto_trial.run(*GRANTS, *parts)
    assert (len(again.skipped), requests(moto_trial)) == (len(sizes), 2 * len(sizes))
    # What an object has already is not written.
    moto_trial.run("--grant-to=READ:AllUsers", "--acl=public-read", "--mode=stupid", *parts)
    assert (requests(moto_trial, "GET"), requests(moto_trial, "PUT")) == (6, 3)


def test_copies(moto_copy: CopyTrial) -> None:
    moto_copy.fill({"a": 10, "b": 20})
    spared = moto_copy.start(*GRANTS, "--dry-run").wait().events[-1]["requests"]
    assert requests(moto_copy) == 0
    before = len(moto_copy.proxy.hits())
    end = moto_copy.run(*GRANTS)
    assert (end.code, set(end.done)) == (0, {"a", "b"})
    assert all(grants(moto_copy.dest, key) == WANTED for key in end.done)
    assert len(moto_copy.proxy.hits()) - before == spared


def test_each_store(trial: PutTrial) -> None:
    """The owner's grant stays; a store without such ACLs is named for what it is."""
    trial.tree({"f0": 10})
    end = trial.run("--grant-to=READ:AllUsers")
    if "grants" in trial.bucket.store.features:
        assert (end.code, end.result.err) == (0, "")
        assert grants(trial.bucket, "f0") == {("owner", "FULL_CONTROL"), (ALL, "READ")}
    else:
        assert (end.code, set(end.failed)) == (3, {"f0"})
        assert "the store has no ACLs of objects that can be changed (" in end.result.err


# What refuses them


def test_an_object_whose_acl_is_refused_fails_though_it_is_stored(moto_trial: PutTrial) -> None:
    moto_trial.tree({f"f{n}": 10 for n in range(6)})
    moto_trial.inject(
        Rule(Status(403, "AccessDenied"), "GET", f"/f1{ACL}"),
        Rule(Status(403, "AccessDenied"), "PUT", f"/f2{ACL}"),
        Rule(Status(503, "SlowDown"), "PUT", f"/f3{ACL}", times=1),
        Rule(Reset(), "GET", f"/f4{ACL}"),
        Rule(Status(200, "NoAcl"), "GET", f"/f5{ACL}"),
    )
    end = moto_trial.run(*GRANTS)
    kinds = {"f1": "access", "f2": "access", "f4": "network", "f5": "store"}
    assert (end.code, end.kinds, set(end.done)) == (1, kinds, {"f0", "f3"})
    assert all(" ACL" in record["message"] for record in end.failed.values())
    assert end.result.err.count("its data is stored; --mode stupid sends it again") == 4
    assert len(moto_trial.arrived()) == 6
    moto_trial.inject()
    again = moto_trial.run(*GRANTS, "--mode=stupid")
    assert (again.code, grants(moto_trial.bucket, "f1")) == (0, WANTED)


@pytest.mark.parametrize(
    ("status", "words", "option"),
    [
        (Status(405, "MethodNotAllowed"), "S3 grants nothing to e-mail addresses since", EMAIL),
        (Status(405, "MethodNotAllowed"), "the store has no ACLs of objects that", GRANTS[0]),
        (Status(501, "NotImplemented"), "the store has no ACLs of objects that", EMAIL),
        (Status(400, "AccessControlListNotSupported"), "has ACLs disabled", GRANTS[0]),
        (Status(400, "UnresolvableGrantByEmailAddress"), "the store refuses --grant-to: U", EMAIL),
    ],
)
def test_what_is_refused_for_every_object_ends_the_run(
    moto_copy: CopyTrial, status: Status, words: str, option: str
) -> None:
    moto_copy.fill({f"f{n:03}": 10 for n in range(200)})
    moto_copy.inject(Rule(status, "PUT", ACL))
    end = moto_copy.run(option)
    assert end.code == 3
    assert words in end.result.err.splitlines()[-1]
    assert end.result.err.count(status.code) == 1
    assert "through this machine" not in end.result.err
    assert end.done == {}
    assert set(end.failed) >= set(moto_copy.arrived()), "what is stored without them has failed"
    assert len(end.failed) < 100
