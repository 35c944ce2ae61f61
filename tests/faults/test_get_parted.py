"""Objects that were sent in parts, and come with one GET. Row 18 of the catalogue, for these.

Their ETag proves them: in the likeliest part size without a request, else after a HEAD of a part.
"""

from __future__ import annotations

from collections.abc import Iterable

from faults.trials import GetTrial
from stores.fault_actions import Call, Rewrite, Status, chain, flipped
from stores.fault_proxy import Rule
from trees import content

MIB = 1 << 20
ODD = 5 * MIB + 77
FLIP = Rewrite(flipped)
# Sizes of the object and of its parts; the last is no larger than what is held in memory.
SENT = {
    "five": (11 * MIB, 5 * MIB),
    "eight": (20 * MIB, 8 * MIB),
    "sixteen": (17 * MIB, 16 * MIB),
    "odd": (11 * MIB, ODD),
    "one": (6 * MIB, 6 * MIB),
    "small": (3000, 3000),
}


def put(trial: GetTrial, key: str, size: int, each: int) -> bytes:
    body = content(size, key)
    trial.bucket.put_multipart(key, *(body[at : at + each] for at in range(0, size, each)))
    return body


def put_all(trial: GetTrial, names: Iterable[str]) -> dict[str, bytes]:
    """An object for each name, sent as its first word says."""
    return {name: put(trial, name, *SENT[name.partition("-")[0]]) for name in names}


def harm(trial: GetTrial, names: Iterable[str], *, times: int) -> None:
    """Flip a bit of each object's body, as many times (0: always)."""
    trial.inject(*(Rule(FLIP, "GET", f"/{name}$", times=times) for name in names))


def test_what_is_right_is_taken(get_trial: GetTrial) -> None:
    contents = put_all(get_trial, SENT)
    end = get_trial.run()
    assert (end.code, end.result.err) == (0, "")
    assert get_trial.files() == contents
    assert {name: get_trial.gets(name) for name in SENT} == dict.fromkeys(SENT, 1)
    asked = {name for name in SENT if get_trial.proxy.hits("HEAD", f"/{name}[?]partNumber=1$")}
    assert asked == {"odd"}
    assert len(get_trial.proxy.hits("HEAD", "partNumber")) == 1


def test_one_bit_that_comes_wrong_once_comes_again(get_trial: GetTrial) -> None:
    contents = put_all(get_trial, ("eight", "odd", "one", "small"))
    harm(get_trial, contents, times=1)
    end = get_trial.run()
    assert (end.code, end.kinds) == (0, {})
    assert get_trial.files() == contents
    assert {name: get_trial.gets(name) for name in contents} == dict.fromkeys(contents, 2)


def test_one_bit_that_is_always_wrong_fails_the_object(get_trial: GetTrial) -> None:
    contents = put_all(get_trial, ("eight", "odd", "one", "small"))
    before = get_trial.stand({"eight": "the old file", "small": "another"})
    harm(get_trial, contents, times=0)
    end = get_trial.run()
    assert (end.code, end.kinds) == (1, dict.fromkeys(contents, "integrity"))
    assert get_trial.files() == before
    assert "its parts make the ETag" in end.failed["eight"]["message"]


def test_uneven_parts_are_taken_by_their_length(get_trial: GetTrial) -> None:
    body = content(16 * MIB, "uneven")
    get_trial.bucket.put_multipart(
        "uneven", body[: 6 * MIB], body[6 * MIB : 11 * MIB], body[11 * MIB :]
    )
    end = get_trial.run()
    assert (end.code, end.kinds) == (0, {})
    assert get_trial.files() == {"uneven": body}
    assert get_trial.gets("uneven") == 1


def test_a_store_that_does_not_tell_of_parts(moto_get: GetTrial) -> None:
    """Proves what has a likely part size, and of the rest only the length is known."""
    contents = put_all(moto_get, ("eight", "odd"))
    moto_get.inject(Rule(Status(501, "NotImplemented"), "HEAD", "partNumber"))
    end = moto_get.run()
    assert (end.code, end.kinds) == (0, {})
    assert moto_get.files() == contents


def test_an_object_that_is_replaced_before_it_is_verified(moto_get: GetTrial) -> None:
    put(moto_get, "odd", *SENT["odd"])
    body = content(3000, "the next")
    renew = Call(lambda request: moto_get.bucket.put("odd", body))
    told = Status(412, "PreconditionFailed")  # moto itself tells ETags of parts
    moto_get.inject(Rule(chain(renew, told), "HEAD", "partNumber=1", times=1))
    end = moto_get.run()
    assert (end.code, end.kinds) == (0, {})
    assert moto_get.files() == {"odd": body}


def test_a_store_that_does_not_know_how_to_ask_for_a_checksum(get_trial: GetTrial) -> None:
    """As Backblaze B2 answers; once that is known it is not asked any more."""
    contents = put_all(get_trial, ["small-1", "small-2", "five", "odd"])
    refusal = Rule(Status(400, "InvalidArgument"), "GET|HEAD", header="^x-amz-checksum-mode")
    get_trial.inject(refusal)
    end = get_trial.run("--processes=1", "--concurrency=1", "--multipart-threshold=15MiB")
    assert (end.code, end.result.err) == (0, "")
    assert get_trial.files() == contents
    hits = get_trial.proxy.hits("GET|HEAD")
    assert len([hit for hit in hits if hit.request.header("x-amz-checksum-mode")]) == 1
    large = get_trial.run("--mode=stupid", "--processes=1", "--multipart-threshold=5MiB")
    assert (large.code, large.result.err) == (0, "")
    assert get_trial.files() == contents
