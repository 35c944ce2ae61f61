"""The meaning of s3copy's command lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3pp.app import Plan
from s3pp.compat import s3copy
from s3pp.errors import Misuse, UsageError


def plan(*words: str) -> Plan:
    return s3copy.plan([*words])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("source", "prefix", "begins", "named"),
    [
        ("s3://src", None, "", "a/b"),
        ("s3://src/*", None, "", "a/b"),
        ("s3://src/x", None, "x/", "x/a/b"),
        ("s3://src/x/", None, "x/", "x/a/b"),
        ("s3://src/x/*", None, "x/", "a/b"),
        ("s3://src/x*", None, "x", "xa/b"),
        ("s3://src/p/x", None, "p/x/", "x/a/b"),
        ("s3://src/p/x*", None, "p/x", "xa/b"),
        ("s3://src/p/", "x", "p/x/", "x/a/b"),
        ("s3://src/p", "x", "px/", "px/a/b"),
    ],
)
def test_paths_are_those_of_cp(source: str, prefix: str | None, begins: str, named: str) -> None:
    words = [source, "s3://dst"] if prefix is None else [source, "s3://dst", "-p", prefix]
    (job,) = plan(*words).jobs
    assert job.origin.prefix == begins
    assert job.origin.relative(f"{begins}a/b") == named


@pytest.mark.parametrize(
    ("words", "dest"),
    [
        (["s3://src/x", "s3://dst"], "s3://dst/"),
        (["s3://src/x", "s3://dst/foo"], "s3://dst/foo"),
        (["s3://src/x", "s3://dst/foo/"], "s3://dst/foo"),
        (["s3://src/x/*"], "s3://src/"),
        (["s3://src", "s3://src"], "s3://src/temp/dest"),
        (["s3://src/x", "s3://dst/foo/", "--dest-prefix", "bar"], "s3://dst/foo/bar"),
        (["s3://src/x", "s3://dst/foo/", "--s3-prefixes"], "s3://dst/foo"),
        (["s3://src/x", "s3://dst", "--dest-prefix", "/zz"], "s3://dst/zz"),
        (["s3://src/x", "s3://dst/p//q//"], "s3://dst/p/q"),
        (["s3://src//x//", "s3://dst//"], "s3://dst/"),
    ],
)
def test_a_destination_is_a_directory(words: list[str], dest: str) -> None:
    made = plan(*words)
    assert str(made.jobs[0].dest) == dest
    path = dest.removesuffix("/").removeprefix("s3://")
    assert made.prologue[1] == f"Dest uri: s3://{path}/"


def test_lists_never_widen_a_copy(home: Path) -> None:
    (home / "names").write_text("# a comment\r\n\r\na b\r\n \t\r\nc")
    (home / "empty").write_text("\n#x\n")
    (job,) = plan("s3://src/p/", "s3://dst", "-f", "x", "y", "--files", f"{home}/names").jobs
    assert (job.origin.prefix, job.origin.relative("p/x")) == ("p/", "x")
    assert job.choosing.names == ("x", "y", "a b", "c")
    (several,) = plan("s3://src", "s3://dst", "-p", "a", "b/*", "-P", f"{home}/names").jobs
    assert [each.prefix for each in several.origins] == ["a/", "b/", "a b/", "c/"]
    for flag in ("-F", "-P"):
        (nothing,) = plan("s3://src", "s3://dst", flag, f"{home}/empty").jobs
        assert nothing.choosing.names == ()
    both = plan("s3://src", "s3://dst", "-f", "x", "-p", "a").jobs
    assert [(job.origin.prefix, job.choosing.names) for job in both] == [("a/", None), ("", ("x",))]


def test_a_name_that_begins_with_a_slash_gives_no_doubled_one() -> None:
    """The slash is looked for in the source, where the path lacks it; slashes inside are kept."""
    jobs = plan("s3://src/x", "s3://dst/sl", "-f", "/a", "y", "/b//c").jobs
    found = [
        (job.origin.prefix + name, job.dest.key(job.origin.relative(job.origin.prefix + name)))
        for job in jobs
        for name in job.choosing.names or ()
    ]
    assert found == [("x/a", "sl/a"), ("x/b//c", "sl/b//c"), ("xy", "sl/y")]
    with pytest.raises(UsageError, match=r"^'/a' and 'a' would be copied to one name"):
        plan("s3://src/x", "s3://dst", "-f", "/a", "a")


def test_options_that_tune(home: Path) -> None:
    words = ["-t", "20", "--retries", "0", "--large-file", "1", "--part-size", str(8 << 20)]
    (job,) = plan("s3://src", "s3://dst", *words, "--acl-grant", "read:a@example.org", "-n").jobs
    assert (job.speed.concurrency, job.access.max_attempts, job.dry_run) == (20, 1, True)
    assert (job.parts.threshold, job.parts.size) == (5 << 20, 8 << 20)
    assert [tuple(each) for each in job.objects.grants] == [("READ", "a@example.org")]
    assert plan("s3://src", "s3://dst").jobs[0].speed.concurrency == 40
    work = plan("s3://src", "s3://dst", "-w", "s3://w", "--reassemble-large-file", "9")
    assert [each.split()[0] for each in work.notices] == [
        "--work-bucket",
        "--reassemble-large-file",
    ]
    (clean,) = plan("s3://src/x", "--clean-mpcopies", "-n").jobs
    assert (clean.verb, clean.origin.prefix, clean.dry_run) == ("clean", "", True)
    assert plan("s3://src", "s3://dst", "--retr", "2").jobs[0].access.max_attempts == 3


def test_where_keys_come_from(home: Path) -> None:
    def keys(*words: str) -> tuple[str, str] | None:
        found = plan("s3://src", "s3://dst", *words).jobs[0].access.credentials
        return found and (found.access_key, found.secret_key)

    assert keys() is None
    given = plan("s3://src", "s3://dst", "-a", "AK", "-k", "SK")
    assert given.jobs[0].access.credentials is not None
    assert "keys on the command line" in given.notices[0]
    (home / "other").write_text("[default]\naccess_key=A1\nsecret_key =S1\n#access_key = no\n")
    assert keys("-c", f"{home}/other", "-a", "AK", "-k", "SK") == ("A1", "S1")
    (home / ".s3cfg").write_text("access_key = A2\nsecret_key = S2\n")
    assert keys("-a", "AK", "-k", "SK") == ("A2", "S2")
    (home / "sections").write_text(
        "[default]\naccess_key = A3 # mine\nsecret_key = 'S=3'\t# no\naccess_token =\n"
        "[ other ]\naccess_key = A4\nsecret_key = S4\n"
    )
    assert keys("-c", f"{home}/sections") == ("A3", "S=3")
    listing = plan("s3://src", "s3://dst", "-d", f"{home}/other").jobs[0].listing_access
    assert listing is not None
    assert listing.credentials is not None
    assert listing.credentials.access_key == "A1"


@pytest.mark.parametrize(
    ("content", "words", "mention"),
    [
        ("access_key = AF", ["-a", "AK", "-k", "SK"], "has access_key and no secret_key"),
        ("secret_key = SF\naccess_key = # none", ["-a", "AK"], "has secret_key and no access_key"),
        ("[other]\naccess_key = AF\nsecret_key = SF", [], "has neither access_key nor secret_key"),
    ],
)
def test_keys_of_two_places_are_never_combined(
    content: str, words: list[str], mention: str, home: Path
) -> None:
    (home / "cfg").write_text(content)
    with pytest.raises(UsageError) as caught:
        plan("s3://src", "s3://dst", "-c", "~/cfg", *words)
    assert mention in str(caught.value)
    assert "'~/cfg'" in str(caught.value)
    assert not any(key in str(caught.value) for key in ("AK", "SK", "AF", "SF"))


@pytest.mark.parametrize(
    ("words", "mention"),
    [
        ([], "a source and at most one destination"),
        (["s3://src", "s3://dst", "s3://more"], "at most one destination"),
        (["s3://src", "s3://dst/x*"], "ends in *"),
        (["s3://src", "s3://dst/x", "--s3-prefixes"], "end the destination with a slash"),
        (["s3://src", "s3://dst", "-F", "gone"], "--files 'gone' cannot be read"),
        (["s3://src", "s3://dst", "-c", "gone"], "'gone' cannot be read"),
        (["s3://src", "s3://dst", "-a", "AKIA"], "no secret_key: write both keys to '~/.s3cfg'"),
        (["s3://src", "s3://dst", "-l", "LOUD"], "'LOUD' is unknown; choose from DEBUG, INFO"),
        (["s3://src", "s3://dst", "-l", "SeCrEt12"], "'…' is unknown; choose from DEBUG, INFO"),
        (["s3://src", "s3://dst", "-t", "0"], "'0' is not a whole number from 1 to 100000"),
        (["s3://src", "s3://dst", "--acl-grant", "EAT:a@b"], "--acl-grant: '…' does not begin"),
        (["s3://src", "s3://dst", "--acl-grant", "FULL_CONTROL"], "'FULL_CONTROL' does not begin"),
    ],
)
def test_what_cannot_be_meant(words: list[str], mention: str) -> None:
    with pytest.raises((UsageError, Misuse)) as caught:
        plan(*words)
    assert mention in str(caught.value)


def test_a_stray_word_is_not_shown() -> None:
    with pytest.raises(UsageError, match="not shown here") as caught:
        plan("SeCrEt", "s3://dst")
    assert "SeCrEt" not in str(caught.value)
