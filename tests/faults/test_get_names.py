"""Keys that lead elsewhere, or cannot be files. Rows 36, 37, 39 and 40 of the catalogue.

Each fails by name, and all others land; a trial verifies that nothing stands outside DIRECTORY.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from commands import Running
from faults.accounting import ending
from faults.trials import GetTrial, Transfer
from stores.fault_actions import Rewrite
from stores.fault_proxy import Rule
from stores.store import Store

REST = {"m": 100, "n/o": 100}
ELSEWHERE = [
    "../up",
    "../../up",
    "n/../../up",
    "n/../same",
    "..",
    "n/..",
    "../",
    ".",
    "./dot",
    "n/./dot",
    "n//o",
    "//lead",
    "n/o2//",
]


def test_keys_that_lead_elsewhere_fail_by_name(get_trial: GetTrial) -> None:
    absolute = str(get_trial.surroundings / "absolute")
    contents = get_trial.fill(REST)
    odd = get_trial.fill({**dict.fromkeys([*ELSEWHERE, absolute], 50), "n/full/": 10})
    end = get_trial.run()
    assert (end.code, end.kinds) == (1, dict.fromkeys(odd, "name"))
    assert get_trial.files() == contents
    assert get_trial.gets() == len(REST)


def test_keys_that_lead_elsewhere_from_a_prefix(get_trial: GetTrial) -> None:
    get_trial.fill({f"p/{key}": 50 for key in ELSEWHERE} | {"p//": 0, "q": 10})
    contents = get_trial.fill({"p/m": 100, "p/n/o": 100})
    get_trial.prefix = "p"
    end = get_trial.run("--mode=stupid")
    assert (end.code, end.kinds) == (1, {f"p/{key}": "name" for key in [*ELSEWHERE, "/"]})
    assert get_trial.files() == {"m": contents["p/m"], "n/o": contents["p/n/o"]}


ODD = [
    "control\x01\x1b[31m",
    " leading",
    "trailing ",
    "back\\slash",
    "per%cent+plus&amp;?#",
    "-rf",
    "...",
]
SWIFT_ODD = ["new\nline", "return\rfeed\r\nx-amz-acl: public-read"]  # moto cannot hold these


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["get_trial", "copy_trial"])
def test_odd_names_arrive_as_they_are(
    request: pytest.FixtureRequest, store: Store, kind: str
) -> None:
    trial: Transfer = request.getfixturevalue(kind)
    contents = trial.fill(dict.fromkeys(ODD + SWIFT_ODD * (store.name == "swift"), 50))
    end = trial.run()
    assert (end.code, set(end.done)) == (0, set(contents))  # and a trial read them
    assert all(ord(character) >= 32 for line in end.result.err.splitlines() for character in line)
    again = trial.run()
    assert (again.code, set(again.skipped)) == (0, set(contents))


@pytest.mark.thorough
def test_markers_make_directories(get_trial: GetTrial) -> None:
    get_trial.fill({"d/": 0, "e/f/": 0, "e/f/g": 10})
    get_trial.stand({"e/kept": 10})
    assert get_trial.run().code == 0
    assert (get_trial.directory / "d").is_dir()
    again = get_trial.run()
    assert again.reasons == {"d/": "exists", "e/f/": "exists", "e/f/g": "same etag"}


def test_twins_are_two_files_where_the_file_system_tells_them_apart(get_trial: GetTrial) -> None:
    # Where it does not: tests/unit/transfer/test_clashes.py.
    twins = ["caf\u00e9", "cafe\u0301", "Case/a", "case/a", "CASE/A", "\u212b", "\u00c5"]
    contents = get_trial.fill(dict.fromkeys(twins, 50))
    if not _tells_apart(get_trial.surroundings.parent):
        pytest.skip("the file system of the tests folds names")
    assert get_trial.run().code == 0
    assert get_trial.files() == contents


def _tells_apart(directory: Path) -> bool:
    for name in ("probe", "PROBE", "prob\u00e9", "probe\u0301"):
        (directory / f"{name}~").touch()
    return len([path for path in directory.iterdir() if path.name.endswith("~")]) == 4


def test_a_file_and_a_directory_of_one_name(get_trial: GetTrial) -> None:
    contents = get_trial.fill({"a": 50, "a-b": 50, "a0": 50, "q/r/s": 50, "q/r/s-": 50, "z": 50})
    below = get_trial.fill({"a/b": 50, "a/b/c": 50, "a/": 0, "q/r/s/t/u": 50})
    end = get_trial.run()
    assert (end.code, end.kinds) == (1, dict.fromkeys(below, "conflict"))
    assert get_trial.files() == contents


def test_what_stands_in_the_way_is_left_alone(moto_get: GetTrial) -> None:
    contents = moto_get.fill({"a": 50, "b/c": 50, "d": 50, "l": 1 << 20, "z": 50})
    before = moto_get.stand({"a/inside": 10, "b": "a file", "l/inside": 10})
    (moto_get.directory / "d").symlink_to("z")
    for mode in ("update", "stupid"):
        end = moto_get.run(f"--mode={mode}")
        assert (end.code, end.kinds) == (1, dict.fromkeys(["a", "b/c", "d", "l"], "conflict"))
        assert moto_get.files() == {**before, "z": contents["z"]}


def test_segments_that_are_too_long(get_trial: GetTrial) -> None:
    longest = ["x" * 255, "\u00e9" * 127, "n/" + "y" * 255]
    contents = get_trial.fill({**REST, **dict.fromkeys(longest, 50)})
    large = get_trial.fill({"z" * 255: 1 << 20})
    too_long = ["x" * 256, "\u00e9" * 128, "n/" + "y" * 300, "o" * 256 + "/p", "q" * 256 + "/"]
    get_trial.fill(dict.fromkeys(too_long[:4], 50) | {too_long[4]: 0})
    end = get_trial.run()
    assert (end.code, end.kinds) == (1, dict.fromkeys(too_long, "name"))
    assert get_trial.files() == contents | large


def test_keys_that_no_path_can_be(moto_get: GetTrial) -> None:
    # Longer than S3 allows, or with a NUL: stores have been seen to list them all the same.
    odd = {"placeholder1": "/".join(["s" * 200] * 30), "placeholder2": "nu%00l"}
    contents = moto_get.fill({**REST, **dict.fromkeys(odd, 10)})

    def renamed(page: bytes) -> bytes:
        for key, other in odd.items():
            page = page.replace(f"<Key>{key}<".encode(), f"<Key>{other}<".encode())
        return page

    moto_get.inject(Rule(Rewrite(renamed), "GET", "list-type=2"))
    end = moto_get.run()
    assert (end.code, set(end.kinds.values())) == (1, {"name"})
    assert end.failed.keys() == {odd["placeholder1"], "nu\0l"}
    assert moto_get.files() == {key: contents[key] for key in REST}


def test_a_path_that_is_too_long_together_with_its_directory(moto_get: GetTrial) -> None:
    key = "/".join(["k" * 200] * 4)
    contents = moto_get.fill({key: 50, "large": 1 << 20})
    moto_get.directory = Path(moto_get.surroundings, *["d" * 200] * 18)
    moto_get.directory.mkdir(parents=True)
    assert len(f"{moto_get.directory}/{key}") > 4096
    running: Running = moto_get.start()
    end = ending(running.wait(60), moto_get.journal)
    assert end.code == 0, end.result.err
    at = os.open(moto_get.directory, os.O_RDONLY)
    for segment in key.split("/"):
        below = os.open(segment, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    assert os.read(at, 1000) == contents[key]
    os.close(at)


def test_an_object_called_like_a_temporary_file(moto_get: GetTrial) -> None:
    ours = "m.s3pp-0123456789abcdef"
    contents = moto_get.fill({"m": 50, "m.s3pp-short": 50})
    moto_get.fill({ours: 50})
    end = moto_get.run()
    assert (end.code, end.kinds) == (1, {ours: "name"})
    assert moto_get.files() == contents
