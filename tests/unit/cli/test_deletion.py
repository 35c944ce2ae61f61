"""``--delete`` and what belongs to it become a job, or one line that names the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3pp.args.verbs import build_job
from s3pp.deletion import Deletion, MaxDelete
from s3pp.errors import UsageError
from s3pp.library.keywords import build_job as build_call

PLACES = {
    "put": ["src", "s3://bucket/p"],
    "get": ["s3://bucket/p", "dir"],
    "copy": ["s3://bucket/p", "s3://other/q"],
}


def refused(verb: str, *words: str) -> str:
    with pytest.raises(UsageError) as caught:
        build_job(verb, [*words])
    message = str(caught.value)
    assert message.isprintable()
    return message


@pytest.mark.parametrize("verb", PLACES)
def test_every_option_arrives(verb: str) -> None:
    words = ["--delete", "--max-delete=10%", "--delete-from-empty", "--delete-excluded"]
    made = build_job(verb, [*words, *PLACES[verb]])
    assert made.deletion == Deletion(True, MaxDelete(10, share=True), True, True)
    assert made.deletes
    assert not build_job(verb, PLACES[verb]).deletes
    assert build_call(verb, PLACES[verb], {"delete": True, "max_delete": 5}).deletion == Deletion(
        True, MaxDelete(5)
    )


@pytest.mark.parametrize("verb", PLACES)
def test_of_two_bounds_none_wins(verb: str) -> None:
    """The second may be an alias's, and the greater one."""
    words = ["--delete", "--max-delete=10", *PLACES[verb]]
    assert build_job(verb, [*words, "--max-delete=10"]).deletion.most == MaxDelete(10)
    why = refused(verb, *words, "--max-delete", "50%")
    assert "--max-delete is given as 10 and as 50%: drop one of them" in why


@pytest.mark.parametrize("verb", PLACES)
@pytest.mark.parametrize("option", ["--max-delete=5", "--delete-from-empty", "--delete-excluded"])
def test_what_belongs_to_it_needs_it(verb: str, option: str) -> None:
    name = option.partition("=")[0]
    assert refused(verb, option, *PLACES[verb]).startswith(f"{name} needs --delete")


@pytest.mark.parametrize("verb", PLACES)
@pytest.mark.parametrize(
    "options", [["--limit=5"], ["--files-from=names"], ["--retry-from=journal"]], ids=str
)
def test_a_source_that_is_read_in_part_is_refused(verb: str, options: list[str]) -> None:
    name = options[0].partition("=")[0]
    message = refused(verb, "--delete", *options, *PLACES[verb])
    assert message.startswith(f"--delete contradicts {name}: ")


@pytest.mark.parametrize("verb", ["get", "copy"])
def test_an_inventory_is_older_than_what_it_lists(verb: str) -> None:
    message = refused(verb, "--delete", "--manifest=manifest.json", *PLACES[verb])
    assert message.startswith("--delete contradicts --manifest: ")


@pytest.mark.parametrize("verb", PLACES)
def test_several_sources_are_refused(verb: str) -> None:
    """One that is empty, as it is not mounted, would be hidden by the others."""
    source, dest = PLACES[verb]
    message = refused(verb, "--delete", source, f"{source}2", dest)
    assert message.startswith("--delete needs exactly one source")


@pytest.mark.parametrize(
    ("verb", "words", "fault"),
    [
        ("put", ["--walk=tar", "src", "s3://bucket"], "--walk tar reads archives"),
        ("put", ["-", "s3://bucket/k"], "'-' is a single one"),
        ("get", ["s3://bucket/k", "-"], "'-' is a single one"),
        ("get", ["--follow-symlinks", "s3://bucket", "dir"], "contradicts --follow-symlinks"),
        ("get", ["s3://bucket", "/"], "the root of the file system"),
    ],
)
def test_what_it_cannot_mean_is_refused(verb: str, words: list[str], fault: str) -> None:
    assert fault in refused(verb, "--delete", *words)


def test_a_home_is_refused_by_whatever_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "homes" / "me"
    home.mkdir(parents=True)
    (tmp_path / "link").symlink_to(home)
    monkeypatch.setenv("HOME", str(home))
    for directory in (home, home.parent, tmp_path / "link", f"{home}/x/..", "~"):
        words = ["--delete", "s3://bucket", str(directory)]
        if directory == "~":  # a name like any other: the shell has not replaced it
            assert build_job("get", words).directory == "~"
        else:
            assert "name a directory in it" in refused("get", *words)
    assert build_job("get", ["--delete", "s3://bucket", str(home / "mirror")]).deletes
    monkeypatch.chdir(home)
    assert "DIRECTORY '.' is, or holds, your home" in refused("get", "--delete", "s3://bkt", ".")
