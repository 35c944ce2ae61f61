"""What is told of a store that answers as none should: the cause, and where."""

from __future__ import annotations

from faults.trials import PutTrial
from stores.fault_actions import Reset, Response, Say
from stores.fault_proxy import Rule


def test_failures_name_the_endpoint_and_the_cause(moto_trial: PutTrial) -> None:
    moto_trial.tree({"bare": 10, "cut": 10, "fine": 10})
    bare = Say(Response(500, ()))
    moto_trial.inject(Rule(bare, "PUT", "/bare$"), Rule(Reset(), "PUT", "/cut$"))
    end = moto_trial.run("--max-attempts=2")
    url = moto_trial.proxy.url
    assert (end.code, set(end.kinds)) == (1, {"bare", "cut"})
    told = "HTTP 500 Internal Server Error without an S3 error body"
    assert f"{told}: from {url}" in end.result.err
    assert f"no answer from {url}: " in end.result.err
    assert "None" not in end.result.err
