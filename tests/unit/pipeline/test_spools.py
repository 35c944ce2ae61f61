"""The files that batches read: each goes with the last batch that reads it."""

from __future__ import annotations

from pathlib import Path

from s3pp.pipeline.assignments import Spools


def test_a_file_goes_with_its_batch(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.touch()
    second.touch()
    spools = Spools()
    spools.add(1, str(first))
    spools.add(2, str(second))
    spools.drop(1)
    spools.drop(3)  # which reads none
    assert (first.exists(), second.exists()) == (False, True)


def test_halves_share_the_file_of_their_batch(tmp_path: Path) -> None:
    file = tmp_path / "1"
    file.touch()
    spools = Spools()
    spools.add(1, str(file))
    spools.share(1, [11, 12])
    spools.share(12, [13, 14])
    spools.share(5, [15])  # which reads none
    for number in (13, 11):
        spools.drop(number)
        assert file.exists()
    spools.drop(14)
    assert not file.exists()
