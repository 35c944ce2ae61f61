"""Arguments of ``copy`` become a job, or one line that names the fix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cli.conftest import Told
from s3pp.access import Access, Keys
from s3pp.args.building import build
from s3pp.args.verbs import build_job
from s3pp.attributes import Objects
from s3pp.errors import UsageError
from s3pp.job import Job, Mode
from s3pp.places import Origin, Place, Side, Source

ENDS = ("s3://from/p", "s3://into/q")


def job(*words: str) -> Job:
    return build_job("copy", [*words, *ENDS])


def refused(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        job(*words)
    message = str(caught.value)
    assert message.isprintable()
    return message


def test_the_arguments_are_two_buckets() -> None:
    made = job()
    assert (made.verb, made.origin) == ("copy", Origin("from", "p/", 2, "p"))
    assert (made.dest, made.sources, made.directory) == (Place("into", "q"), (), "")
    assert (made.mode, made.source_access) == (Mode.UPDATE, None)
    assert made.objects == Objects()


def test_what_belongs_to_a_copy_arrives() -> None:
    made = job(
        "--mode", "add", "--listers", "9", "--acl", "private", "--tag", "t=u",
        "--storage-class", "STANDARD_IA", "--sse", "AES256", "--checksum", "sha256",
    )  # fmt: skip
    assert (made.mode, made.speed.listers) == (Mode.ADD, 9)
    objects = made.objects
    assert (objects.acl, objects.tags, objects.storage_class) == (
        "private",
        (("t", "u"),),
        "STANDARD_IA",
    )
    assert (objects.sse, objects.checksum, objects.directive) == ("AES256", "sha256", "copy")


def test_keys_of_each_side() -> None:
    """They have no options: the library gives them by these paths."""
    here, there = Keys("HERE", "secret"), Keys("THERE", "secret")

    def given(*, profile: str | None = None, **keys: Keys) -> tuple[Keys | None, Keys | None]:
        paths = {"credentials": "access.credentials", "source": "combined.source_credentials"}
        options: dict[str, object] = {paths[name]: each for name, each in keys.items()}
        if profile:
            options["combined.source_profile"] = profile
        made = build(Job("copy"), options)
        return made.access_to(Side.DEST).credentials, made.access_to(Side.SOURCE).credentials

    assert given(credentials=here) == (here, here)
    assert given(credentials=here, source=there) == (here, there)
    assert given(source=there) == (None, there)
    assert given(credentials=here, profile="work") == (here, None)
    with pytest.raises(UsageError, match="source_credentials and --source-profile contradict"):
        given(credentials=here, source=there, profile="work")
    with pytest.raises(UsageError, match="credentials and --no-sign-request contradict"):
        build(Job("copy"), {"access.credentials": here, "access.sign": False})


# What describes an object is the source's, or given here


@pytest.mark.parametrize(
    "words",
    [("--content-type", "a/b"), ("--header", "Cache-Control:no-store"), ("--metadata", "k=v")],
)
def test_what_is_given_here_needs_the_directive(words: tuple[str, ...]) -> None:
    message = refused(*words)
    assert words[0] in message
    assert "--metadata-directive replace" in message
    assert job(*words, "--metadata-directive", "replace").objects.directive == "replace"


def test_a_replacement_arrives() -> None:
    made = job(
        "--metadata-directive", "replace", "--content-type", "a/b", "--metadata", "k=v",
        "--header", "Cache-Control:no-store",
    )  # fmt: skip
    objects = made.objects
    assert (objects.content_type, objects.metadata) == ("a/b", (("k", "v"),))
    assert objects.headers == (("Cache-Control", "no-store"),)


def test_no_content_is_looked_into() -> None:
    message = refused("--metadata-directive", "replace", "--content-type", "magic")
    assert "magic" in message


@pytest.mark.parametrize("option", ["--gzip", "--walk", "--fsync", "--gunzip"])
def test_what_is_about_files_is_no_option_here(option: str) -> None:
    with pytest.raises(Exception, match=option):
        build_job("copy", [option, *ENDS])


# Two ways to two stores


def test_the_source_has_the_access_of_the_destination_unless_told() -> None:
    made = job("--endpoint-url", "https://here", "--region", "eu-west-1", "--profile", "me")
    assert made.source_access is None
    assert made.access_to(Side.SOURCE) == made.access_to(Side.DEST) == made.access


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["--source-endpoint-url", "https://there"], "endpoint_url", "https://there"),
        (["--source-endpoint-url", "there:9000"], "endpoint_url", "https://there:9000"),
        (["--source-region", "us-west-2"], "region", "us-west-2"),
        (["--source-profile", "you"], "profile", "you"),
    ],
)
def test_what_is_said_of_the_source_is_its_own(words: list[str], field: str, value: str) -> None:
    made = job("--endpoint-url", "https://here", "--profile", "me", "--read-timeout", "9", *words)
    source = made.access_to(Side.SOURCE)
    assert getattr(source, field) == value
    assert source.read_timeout == 9.0
    dest = replace(made.access, own_settings=False)
    assert dest == Access(endpoint_url="https://here", profile="me", read_timeout=9.0)


def test_who_lists_the_destination() -> None:
    assert job("--profile", "me").listing_access is None
    made = job("--profile", "me", "--source-profile", "you", "--list-profile", "auditor")
    assert made.listing_access == replace(made.access, profile="auditor", own_settings=False)
    assert made.access_to(Side.LISTING) == made.listing_access
    keys = Keys("LISTS", "secret")
    given = {"access.credentials": Keys("WRITES", "secret"), "combined.list_credentials": keys}
    assert build(Job("copy"), given).access_to(Side.LISTING).credentials == keys
    by_profile = {**given, "combined.list_credentials": None, "combined.list_profile": "auditor"}
    assert build(Job("copy"), by_profile).access_to(Side.LISTING).credentials is None
    assert "--mode stupid" in refused("--list-profile", "auditor", "--mode", "stupid")
    assert "--sandbox" in refused("--list-profile", "auditor", "--sandbox")
    with pytest.raises(UsageError, match="--list-profile has no use with '-'"):
        build(Job("put", (Source("-"),)), {"combined.list_profile": "auditor"})
    unsigned = refused("--list-profile", "auditor", "--no-sign-request")
    assert "--list-profile and --no-sign-request contradict each other; drop one" in unsigned


def test_another_stores_region_is_not_that_of_the_destination() -> None:
    words = ("--region", "eu-west-1", "--source-endpoint-url", "https://there")
    assert job(*words).access_to(Side.SOURCE).region is None
    assert job(*words, "--source-region", "x").access_to(Side.SOURCE).region == "x"
    assert job(*words).access.region == "eu-west-1"


@pytest.mark.parametrize(
    ("words", "mentions"),
    [
        (["--sandbox", "--source-endpoint-url", "https://x"], ["--sandbox", "--source-"]),
        (["--secure", "--source-endpoint-url", "http://x"], ["--secure"]),
        (["--null"], ["--null", "--files-from"]),
        (["--sse-kms-key-id", "k"], ["--sse aws:kms"]),
    ],
)
def test_options_that_need_or_contradict_each_other(words: list[str], mentions: list[str]) -> None:
    message = refused(*words)
    assert all(mention in message for mention in mentions)


@pytest.mark.parametrize(
    ("words", "mention"),
    [
        ([], "s3://"),
        (["s3://from"], "destination"),
        (["s3://a1b", "b1c", "s3://c1d"], "'b1c'"),
        (["dir", "s3://into"], "'dir'"),
        (["s3://from", "dir"], "'dir'"),
        (["s3://from/\udcff", "s3://into"], "UTF-8"),
        (["s3://from", "s3://into/\udcff"], "UTF-8"),
        (["--metadata-directive", "keep", *ENDS], "--metadata-directive"),
        (["--source-profile", "", *ENDS], "--source-profile"),
    ],
)
def test_what_cannot_be_meant(words: list[str], mention: str, command: Callable[..., Told]) -> None:
    told = command("copy", *words)
    assert (told.code, told.out) == (2, "")
    assert told.err[:-1].isprintable()
    assert mention in told.err


@pytest.mark.parametrize("dest", ["s3://bucket/*", "s3://bucket/q*", "s3://bucket/q/*"])
def test_only_a_source_means_many_keys(dest: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_job("copy", ["s3://from/p*", dest])
    message = str(caught.value)
    assert f"{dest!r} ends in *" in message
    assert repr(f"{dest}/") in message


def test_a_directory_whose_name_ends_so_can_be_named() -> None:
    made = build_job("copy", ["s3://from/p", "s3://bucket/q*/"])
    assert made.dest.prefix == "q*"


def test_the_option_that_contradicts_is_the_one_that_was_given() -> None:
    message = refused("--secure", "--source-endpoint-url", "http://there")
    assert "--source-endpoint-url http://there" in message
