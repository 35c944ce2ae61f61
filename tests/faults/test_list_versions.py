"""Stores that list in another way than S3: without ListObjectsV2, without rights, without honesty.

Whatever a store answers, no key is lost or taken for another one, and no run is given up that
``--mode stupid`` would have brought to its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote
from xml.sax.saxutils import escape

import pytest

from commands import Run, Start
from faults.accounting import check_all_done
from faults.listing_pages import PAGES
from faults.trials import CopyTrial, GetTrial, ListTrial, PutTrial, Trial
from stores.fault_actions import Action, Exchange, Response, Rewrite, Status, error
from stores.fault_proxy import FaultProxy, Rule
from stores.store import Store

AnyTrial = TypeVar("AnyTrial", bound=Trial)

SIZE = 10  # keys a page
NAMES = [f"d/f{n:02d} +%2B é" for n in range(2 * SIZE + 5)]
MAX_KEYS = re.compile(r"&?max-keys=\d+")


@dataclass(frozen=True)
class FirstVersion(Action):
    """A store that knows ListObjects alone; None: it answers ListObjectsV2 with its pages."""

    refusal: int | None

    def answer(self, exchange: Exchange) -> Response:
        path = exchange.request.path
        if "list-type=2" in path and self.refusal:
            return error(self.refusal, "NotImplemented")
        path = re.sub(r"&?(list-type=2|start-after=[^&]*)", "", path)
        if "max-keys=" not in path:
            path += f"&max-keys={SIZE}"
        return exchange.forward(replace(exchange.request, path=path))


@dataclass(frozen=True)
class Miscounts(Action):
    """A store that answers ``max-keys=1`` wrongly, and all else rightly."""

    keys: str  # "all": of the first page; "none"

    def answer(self, exchange: Exchange) -> Response:
        path = exchange.request.path
        if not re.search(r"max-keys=1(&|$)", path):
            return exchange.forward()
        response = exchange.forward(replace(exchange.request, path=MAX_KEYS.sub("", path)))
        body = response.body.replace(b"<IsTruncated>false", b"<IsTruncated>true")
        if self.keys == "none":
            body = re.sub(rb"<Contents>.*</Contents>", b"", response.body, flags=re.DOTALL)
        return replace(response, body=body)


LISTS = r"^/[^/?]*/?\?(?!uploads|.*[?&]uploads)"


@pytest.mark.parametrize("refusal", [501, None, 400, 404, 405])
def test_every_verb_lists_a_store_without_the_second_version(
    make_proxy: Callable[[Store], FaultProxy],
    s3pp_start: Start,
    moto: Store,
    tmp_path: Path,
    refusal: int | None,
) -> None:
    rule = Rule(FirstVersion(refusal), "GET", LISTS)

    def trial_of(kind: type[AnyTrial]) -> AnyTrial:
        root = tmp_path / kind.verb
        root.mkdir()
        made = kind(moto.bucket(), make_proxy(moto), s3pp_start, root)
        made.inject(rule)
        return made

    lists = trial_of(ListTrial)
    lists.fill(dict.fromkeys(NAMES, 20))
    for listers in (1, 4):
        end = lists.run(f"--listers={listers}")
        assert (end.code, end.keys) == (0, NAMES), end.result.err

    for transfer in (trial_of(GetTrial), trial_of(CopyTrial)):
        contents = transfer.fill(dict.fromkeys(NAMES, 20))
        assert transfer.run().code == 0
        assert transfer.arrived() == contents
        again = transfer.run("--mode=update")
        assert again.skipped.keys() == set(NAMES)
        assert not transfer.proxy.hits("HEAD", "f00")

    puts = trial_of(PutTrial)
    for key, body in puts.tree(dict.fromkeys(NAMES, 20)).items():
        puts.bucket.put(key, body)
    assert puts.run("--mode=update").skipped.keys() == set(NAMES)
    assert puts.count("HEAD") == puts.puts() == 0


@pytest.mark.parametrize("keys", ["none", "all"])
def test_a_store_that_cannot_count_to_one(moto_get: GetTrial, s3pp: Run, keys: str) -> None:
    contents = moto_get.fill({"d/a": 10, "d/b": 10, "single": 10})
    moto_get.inject(Rule(Miscounts(keys), "GET"))
    moto_get.prefix = "d"
    assert moto_get.run().code == 0
    assert moto_get.files() == {"a": contents["d/a"], "b": contents["d/b"]}
    store = replace(moto_get.bucket.store, url=moto_get.proxy.url)
    listed = s3pp("list", f"{moto_get.bucket.url}/single", store=store)
    assert (listed.code, "single" in listed.out) == (0, True)
    assert s3pp("get", f"{moto_get.bucket.url}/none", "x", store=store).code in (2, 3)


# Rights


def test_who_may_only_put_learns_so_and_puts_all_the_same(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({f"f{n:02d}": 10 for n in range(20)})
    moto_trial.inject(Rule(Status(403, "AccessDenied"), "GET|HEAD"))
    for mode in ("update", "stupid"):
        end = moto_trial.run(f"--mode={mode}")
        check_all_done(end, moto_trial.bucket, contents)
        told = [line for line in end.result.err.splitlines() if "HEAD" in line]
        assert len(told) == (mode != "stupid"), end.result.err
        assert all(
            "access denied: ListBucket on" in line and "AccessDenied" in line for line in told
        )


@pytest.mark.parametrize("verb", ["get", "copy", "list"])
def test_named_objects_need_no_right_to_list(
    make_trial: Callable[..., Trial], moto: Store, s3pp: Run, verb: str
) -> None:
    kinds: dict[str, type[Trial]] = {"get": GetTrial, "copy": CopyTrial, "list": ListTrial}
    trial = make_trial(kinds[verb], moto)
    names = [f"n {n:02d}" for n in range(40)]
    contents = trial.fill({f"d/{name}": 10 for name in names})
    trial.inject(Rule(Status(403, "AccessDenied"), "GET", rf"^/{trial.bucket.name}/?\?"))
    store = replace(moto, url=trial.proxy.url)
    places = [f"{trial.bucket.url}/d", *map(str, trial.places[1:])]
    text = "\n".join(["absent", *names]).encode()
    result = s3pp(verb, "--files-from=-", *places, store=store, stdin=text)
    assert result.code == 1, result
    assert "absent" in result.err
    refusal = f"access denied: ListBucket on {places[0]} (AccessDenied: injected by a test)"
    assert f"{refusal}: each key is checked with HEAD instead" in result.err
    assert result.err.count("HEAD") == 1
    if verb == "list":
        assert [line.partition("d/")[2] for line in result.lines] == names
    else:
        assert isinstance(trial, GetTrial | CopyTrial)
        assert trial.arrived() == {key.removeprefix("d/"): body for key, body in contents.items()}


# What keys are called


def _written(page: bytes, change: Callable[[str], str]) -> bytes:
    def key(found: re.Match[bytes]) -> bytes:
        return b"<Key>%s</Key>" % change(found[1].decode()).encode()

    return re.sub(b"<Key>([^<]*)</Key>", key, page)


def raw_and_called_encoded(page: bytes) -> bytes:
    """What LocalStack and SeaweedFS do to the keys of uploads."""
    return _written(page, lambda key: escape(unquote(key.replace("+", " "))))


def encoded_without_a_word(page: bytes) -> bytes:
    """What Ceph RGW does to the keys of uploads."""
    return page.replace(b"<EncodingType>url</EncodingType>", b"")


@pytest.mark.parametrize("harm", [raw_and_called_encoded, encoded_without_a_word])
def test_keys_keep_their_names_whatever_is_said_of_their_encoding(
    moto_get: GetTrial, harm: Callable[[bytes], bytes]
) -> None:
    contents = moto_get.fill(dict.fromkeys(["a b", "a%20b", "c+d", "é", "%C3%A9", "x/y &z"], 10))
    moto_get.inject(Rule(Rewrite(harm), "GET", r"(?=.*encoding-type=url)(?=.*list-type=2)"))
    assert moto_get.run().code == 0
    assert moto_get.files() == contents
    assert moto_get.run("--mode=update").skipped.keys() == contents.keys()


def test_a_listing_of_the_destination_that_cannot_be_trusted_is_done_without(
    moto_trial: PutTrial,
) -> None:
    for key, body in moto_trial.tree(dict.fromkeys(["a", "b", "c"], 10)).items():
        moto_trial.bucket.put(key, body)
    (moto_trial.source / "b").write_bytes(b"changed since")
    moto_trial.inject(Rule(Rewrite(lambda _: b"<html>"), "GET", PAGES))
    end = moto_trial.run("--mode=update")
    assert (end.code, set(end.done), set(end.skipped)) == (0, {"b"}, {"a", "c"})
    (line,) = end.result.err.splitlines()
    assert "cannot be read" in line
    assert "HEAD" in line
