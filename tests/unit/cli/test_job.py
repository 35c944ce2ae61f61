"""Arguments of ``put`` become a job, or one line that names the fix."""

from __future__ import annotations

import re

import pytest

from s3pp.args.building import DEFAULT_GZIP_TYPES
from s3pp.args.verbs import build_job
from s3pp.errors import UsageError
from s3pp.integrity import checksums
from s3pp.job import Compare, Job, Mode
from s3pp.places import Place, Source
from s3pp.speed import Speed
from s3pp.timetable import steady


def job(*words: str) -> Job:
    return build_job("put", [*words, "src", "s3://bucket/p"])


def refused(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        job(*words)
    message = str(caught.value)
    assert message.isprintable()
    return message


def test_limits_of_the_rate_reach_the_job_of_each_verb() -> None:
    words = ["--max-bandwidth", "10M", "--max-requests", "08:00,5 18:00,off"]
    places = {"list": ["s3://bucket"], "clean": ["s3://bucket"], "remove": ["s3://bucket/p"]}
    for verb in ("put", "get", "copy", "move", "remove", "list", "clean"):
        named = {"put": ["src", "s3://bucket"], "get": ["s3://bucket", "d"]}.get(
            verb, places.get(verb, ["s3://bucket/p", "s3://other/q"])
        )
        speed = build_job(verb, [*words, *named]).speed
        assert speed.max_bandwidth == steady(10 << 20)
        assert speed.max_requests is not None
        assert speed.max_requests.text == "08:00,5 18:00,off"
        assert [step.rate for step in speed.max_requests.steps] == [5, None] * 7


def test_defaults_are_the_jobs() -> None:
    assert job() == Job("put", (Source("src"),), Place("bucket", "p"))


def test_compare_needs_something_to_compare() -> None:
    assert job("--compare", "mtime").compare is Compare.MTIME
    assert job("--mode", "add", "--compare", "etag").compare is Compare.ETAG
    for mode in ("add", "stupid"):
        assert refused("--mode", mode, "--compare", "size") == (
            f"--compare size is for --mode update; --mode {mode} compares nothing"
        )
    assert refused("--gzip", "--compare", "mtime").startswith(
        "--compare mtime contradicts --gzip: the file and the compressed object differ in size"
    )
    with pytest.raises(UsageError, match="contradicts --gunzip"):
        build_job("get", ["--gunzip", "--compare", "size", "s3://bucket", "out"])


def test_every_option_arrives() -> None:
    made = job(
        "--mode", "add", "--include", "*.x", "--exclude", "a/**", "--include", "a/b",
        "--newer-than", "2026-01-01T00:00:00Z", "--older-than", "2026-01-02T00:00:00Z",
        "--min-size", "1k", "--max-size", "1M", "--limit", "7", "--files-from", "list", "--null",
        "--no-follow-symlinks",
        "--content-type", "magic", "--gzip", "--gzip-type", "text/css", "--header", "A:b",
        "--metadata", "k=v", "--tag", "t=u", "--acl", "private", "--storage-class", "STANDARD_IA",
        "--sse", "aws:kms", "--sse-kms-key-id", "alias/x", "--checksum", "sha256",
        "-P", "3", "-c", "40", "--start-method", "spawn", "--worker-timeout", "2m",
        "--endpoint-url", "https://store:9000/", "--region", "eu-west-1", "--profile", "me",
        "--no-sign-request", "--request-payer", "--addressing", "virtual", "--ca-bundle", "ca.pem",
        "--max-attempts", "3", "--connect-timeout", "1.5", "--read-timeout", "90s",
        "--request-timeout", "10m",
        "--journal", "j", "-n", "-vv", "-q", "--json", "--no-progress", "--log-file", "l",
    )  # fmt: skip
    assert (made.mode, made.walk, made.dry_run) == (Mode.ADD, "filesystem", True)
    choosing = made.choosing
    assert choosing.rules == (("include", "*.x"), ("exclude", "a/**"), ("include", "a/b"))
    assert (choosing.newer_than, choosing.older_than) == (1767225600.0, 1767312000.0)
    assert (choosing.min_size, choosing.max_size, choosing.limit) == (1024, 1 << 20, 7)
    assert (choosing.files_from, choosing.null, choosing.follow_symlinks) == ("list", True, False)
    objects = made.objects
    assert (objects.content_type, objects.gzip_types) == ("magic", frozenset({"text/css"}))
    assert (objects.headers, objects.metadata) == ((("A", "b"),), (("k", "v"),))
    assert (objects.tags, objects.acl) == ((("t", "u"),), "private")
    assert (objects.storage_class, objects.sse) == ("STANDARD_IA", "aws:kms")
    assert (objects.sse_kms_key_id, objects.checksum) == ("alias/x", "sha256")
    speed = made.speed
    assert (speed.processes, speed.concurrency) == (3, 40)
    assert (speed.start_method, speed.worker_timeout) == ("spawn", 120.0)
    access = made.access
    assert (access.endpoint_url, access.region) == ("https://store:9000", "eu-west-1")
    assert (access.profile, access.sign, access.request_payer) == ("me", False, True)
    assert (access.addressing, access.ca_bundle, access.verify_ssl) == ("virtual", "ca.pem", True)
    assert (access.max_attempts, access.connect_timeout, access.read_timeout) == (3, 1.5, 90.0)
    assert access.request_timeout == 600.0
    output = made.output
    assert (output.verbosity, output.json, output.progress) == (1, True, False)
    assert (output.journal, output.log_file) == ("j", "l")


def test_aliases_and_the_rest() -> None:
    made = job("--put", "stupid", "--grant", "public-read", "--walk", "tar", "--no-verify-ssl")
    assert (made.mode, made.objects.acl, made.walk) == (Mode.STUPID, "public-read", "tar")
    assert made.access.verify_ssl is False
    assert job("--follow-symlinks").choosing.follow_symlinks is True
    assert job("--progress").output.progress is True


def test_options_may_stand_anywhere() -> None:
    words = ["a", "-n", "b", "--limit", "2", "s3://bucket", "-v"]
    made = build_job("put", words)
    assert (made.sources, made.dest) == ((Source("a"), Source("b")), Place("bucket"))
    assert (made.dry_run, made.choosing.limit, made.output.verbosity) == (True, 2, 1)


def test_after_two_dashes_nothing_is_an_option() -> None:
    made = build_job("put", ["a", "-n", "--", "-v", "--json", "s3://bucket"])
    assert (made.sources, made.dry_run) == (tuple(map(Source, ("a", "-v", "--json"))), True)
    assert (made.output.verbosity, made.output.json) == (0, False)


@pytest.mark.parametrize(
    ("words", "types"),
    [
        ([], set()),
        (["--gzip"], DEFAULT_GZIP_TYPES),
        (["--gzip", "--gzip-type", "guess"], DEFAULT_GZIP_TYPES),
        (["--gzip", "--gzip-type", "guess", "--gzip-type", "a/b"], DEFAULT_GZIP_TYPES | {"a/b"}),
        (["--gzip", "--gzip-type", "a/b"], {"a/b"}),
        (["--gzip", "--gzip-type", "a/b", "--gzip-type", "all"], {"all"}),
    ],
)
def test_gzip_types(words: list[str], types: frozenset[str] | set[str]) -> None:
    assert job(*words).objects.gzip_types == types


def test_headers_that_have_an_option_of_their_own_are_that_option() -> None:
    made = job("--header", "content-type:x/y", "--header", "X-Amz-Meta-A:1", "--metadata", "b=2")
    assert made.objects.content_type == "x/y"
    assert made.objects.metadata == (("A", "1"), ("b", "2"))
    assert made.objects.headers == ()


@pytest.mark.parametrize(
    ("endpoint", "scheme", "url"),
    [
        ("store:9000", [], "https://store:9000"),
        ("store:9000", ["--secure"], "https://store:9000"),
        ("store:9000", ["--insecure"], "http://store:9000"),
        ("http://store", [], "http://store"),
        ("http://store", ["--insecure"], "http://store"),
    ],
)
def test_the_endpoints_scheme(endpoint: str, scheme: list[str], url: str) -> None:
    assert job("--endpoint-url", endpoint, *scheme).access.endpoint_url == url


def test_insecure_alone_is_kept_for_the_session() -> None:
    assert (job().access.secure, job("--insecure").access.secure) == (True, False)


def test_no_more_processes_than_requests() -> None:
    assert job("-c", "1").speed.processes == 1
    assert job("-P", "9", "-c", "4").speed.processes == 4
    assert job().speed == Speed()


@pytest.mark.parametrize(
    ("words", "mentions"),
    [
        (["--gzip-type", "text/css"], ["--gzip-type", "--gzip"]),
        (["--null"], ["--null", "--files-from"]),
        (["--walk", "tar", "--follow-symlinks"], ["--walk tar", "symlinks"]),
        (["--min-size", "2k", "--max-size", "1k"], ["--min-size", "--max-size"]),
        (["--newer-than", "1d", "--older-than", "2d"], ["--newer-than", "--older-than"]),
        (["--sse-kms-key-id", "k"], ["--sse-kms-key-id", "--sse aws:kms"]),
        (["--sse", "AES256", "--sse-kms-key-id", "k"], ["--sse-kms-key-id", "--sse aws:kms"]),
        (["--ca-bundle", "f", "--no-verify-ssl"], ["--ca-bundle", "--no-verify-ssl"]),
        (["--insecure", "--endpoint-url", "https://x"], ["--insecure", "--endpoint-url"]),
        (["--secure", "--endpoint-url", "http://x"], ["--secure", "--endpoint-url"]),
        (["--sandbox", "--endpoint-url", "http://x"], ["--sandbox", "--endpoint-url"]),
        (["--sandbox", "--profile", "x"], ["--sandbox", "--profile"]),
        (["--sandbox", "--addressing", "virtual"], ["--sandbox", "--addressing"]),
        (["--journal", "f", "--log-file", "./f"], ["--journal", "--log-file"]),
        (["--header", "Content-Type:a/b", "--content-type", "a/c"], ["Content-Type"]),
        (["--header", "Content-Encoding:br", "--gzip"], ["Content-Encoding", "--gzip"]),
        (["--header", "A:1", "--header", "a:2"], ["--header", "twice"]),
        (["--metadata", "A=1", "--metadata", "a=2"], ["--metadata", "twice"]),
        (["--header", "x-amz-meta-a:1", "--metadata", "a=2"], ["--metadata", "twice"]),
        (["--metadata", f"a={'x' * 2048}"], ["--metadata", "2048"]),
        (["--tag", "a=1", "--tag", "a=2"], ["--tag", "twice"]),
        ([w for n in range(11) for w in ("--tag", f"k{n}=v")], ["--tag", "10"]),
    ],
)
def test_options_that_need_or_contradict_each_other(words: list[str], mentions: list[str]) -> None:
    message = refused(*words)
    assert all(mention in message for mention in mentions)


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("Authorization", "leave it out"),
        ("HOST", "leave it out"),
        ("Content-Length", "leave it out"),
        ("Connection", "leave it out"),
        ("Transfer-Encoding", "leave it out"),
        ("Expect", "leave it out"),
        ("x-amz-date", "leave it out"),
        ("X-Amz-Security-Token", "leave it out"),
        ("x-amz-content-sha256", "leave it out"),
        ("x-amz-copy-source", "leave it out"),
        ("Content-MD5", "--checksum"),
        ("x-amz-checksum-crc32", "--checksum"),
        ("If-None-Match", "--mode"),
        ("if-match", "--mode"),
        ("x-amz-acl", "--acl"),
        ("x-amz-tagging", "--tag"),
        ("x-amz-storage-class", "--storage-class"),
        ("x-amz-server-side-encryption", "--sse"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "--sse-kms-key-id"),
        ("x-amz-server-side-encryption-customer-key", "process list"),
        ("x-amz-request-payer", "--request-payer"),
    ],
)
def test_headers_that_are_s3pps_own(name: str, fix: str) -> None:
    message = refused("--header", f"{name}:s3cr3t")
    assert name in message
    assert fix in message
    assert "s3cr3t" not in message


def test_headers_that_are_nobodys() -> None:
    words = ["Cache-Control:a", "Content-Encoding:br", "Content-Language:de", "Expires:0"]
    made = job(*(word for header in words for word in ("--header", header)))
    assert [f"{name}:{value}" for name, value in made.objects.headers] == words


def test_types_by_content_need_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3pp.args.building.find_spec", lambda _: None)
    message = refused("--content-type", "magic")
    assert message.endswith("cannot be imported: pip install 's3pp[magic]'")
    assert refused("--header", "Content-Type:magic") == message
    assert job("--content-type", "text/css").objects.content_type == "text/css"


def test_checksums_that_need_awscrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "_crc", lambda name: None)
    assert "cannot be imported" in refused("--checksum", "crc64nvme")
    assert job("--checksum", "crc32").objects.checksum == "crc32"
    monkeypatch.undo()
    assert job("--checksum", "crc32c").objects.checksum == "crc32c"


def test_a_prefix_that_is_not_utf8() -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        build_job("put", ["src", "s3://bucket/\udcff"])


def test_a_destination_does_not_mean_many_keys() -> None:
    with pytest.raises(UsageError, match=r"'s3://bucket/q\*' ends in \*.*'s3://bucket/q\*/'"):
        build_job("put", ["src", "s3://bucket/q*"])


def test_the_etag_cache_is_of_files() -> None:
    words = ["--etag-cache", "c", "src", "s3://bucket"]
    assert build_job("put", words).speed.etag_cache == "c"
    assert build_job("get", ["--etag-cache", "c", "s3://bucket", "d"]).speed.etag_cache == "c"
    assert build_job("put", ["src", "s3://bucket"]).speed.etag_cache is None
    for verb, refused, why in (
        ("put", ["--walk", "tar", *words], "--walk tar"),
        ("put", ["--journal", "./c", *words], "the same file"),
        ("put", ["--log-file", "c", *words], "the same file"),
        ("put", ["--etag-cache", "c", "-", "s3://bucket/k"], "'-'"),
        ("get", ["--etag-cache", "c", "s3://bucket/k", "-"], "'-'"),
        ("put", ["--etag-cache", "-", "src", "s3://bucket"], "--etag-cache '-'"),
        ("copy", ["--etag-cache", "c", "s3://bucket/p", "s3://bucket/q"], "--etag-cache"),
    ):
        with pytest.raises(UsageError, match=re.escape(why)):
            build_job(verb, refused)


@pytest.mark.parametrize("option", ["--journal", "--log-file", "--files-from", "--rules"])
def test_of_two_files_none_is_left_out_unnoticed(option: str) -> None:
    """Of other options the last value wins."""
    words = ["src", "s3://bucket"]
    with pytest.raises(UsageError, match=f"{option} is given as a and as b: drop one of them"):
        build_job("put", [option, "a", option, "b", *words])
    assert build_job("put", ["--journal=a", "--journal=a", *words]).output.journal == "a"
    assert build_job("put", ["--limit=1", "--limit=2", *words]).choosing.limit == 2
