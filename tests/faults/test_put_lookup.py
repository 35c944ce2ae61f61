"""Looking for what an earlier run left: a store that answers wrongly fails no object.

What cannot be known is begun anew, and that is said once for all objects.
"""

from __future__ import annotations

import re

import pytest

from faults.accounting import check_all_done
from faults.large import SIZE, SMALL_PARTS, begin, parts_of, sent
from faults.trials import PutTrial
from stores.fault_actions import Action, Response, Rewrite, Say, Status
from stores.fault_proxy import Rule

FOUR = [1, 2, 3, 4]
OTHER = b"<ListBucketResult><Name>x</Name><IsTruncated>false</IsTruncated></ListBucketResult>"


def check_told_once(trial: PutTrial, action: Action, target: str) -> None:
    contents = trial.tree({"large": SIZE, "more": SIZE})
    begin(trial.bucket, "large", {n: parts_of(contents["large"])[n] for n in (1, 2)})
    begin(trial.bucket, "more", {n: parts_of(contents["more"])[n] for n in (1, 2)})
    before = len(sent(trial))
    trial.inject(Rule(action, "GET", target))
    end = trial.run(*SMALL_PARTS)
    check_all_done(end, trial.bucket, contents)
    assert sent(trial, before) == sorted(2 * FOUR)
    assert end.result.err.count("nothing is resumed") == 1


@pytest.mark.parametrize(
    "answer",
    [
        Say(Response(200, (("Content-Type", "application/xml"),), OTHER)),
        pytest.param(Status(400, "InvalidArgument"), marks=pytest.mark.thorough),
        pytest.param(Status(404, "NoSuchKey"), marks=pytest.mark.thorough),
        pytest.param(Status(500, "InternalError"), marks=pytest.mark.thorough),
        pytest.param(Say(Response(200, (), b"<html>")), marks=pytest.mark.thorough),
    ],
    ids=["another list", "400", "404", "500", "no XML"],
)
def test_a_list_of_uploads_that_is_none(moto_trial: PutTrial, answer: Action) -> None:
    check_told_once(moto_trial, answer, "[?&]uploads")


def swapped(page: bytes) -> bytes:
    """A list of parts, those of its first two the other way round."""
    first, second = re.findall(rb"<Part>.*?</Part>", page, re.DOTALL)[:2]
    return page.replace(first, b"@").replace(second, first).replace(b"@", second)


def test_a_list_of_parts_out_of_order(moto_trial: PutTrial) -> None:
    check_told_once(moto_trial, Rewrite(swapped), "uploadId=")
