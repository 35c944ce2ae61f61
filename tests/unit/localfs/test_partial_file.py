"""Files that arrive in ranges: who writes them, who may go on with them, and what stays."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from hashlib import md5
from pathlib import Path
from zlib import crc32

import pytest

from s3pp.errors import ObjectError
from s3pp.localfs import locks, partial_file
from s3pp.localfs.partial_file import InUse, NoLocks, PartialFile, RangeLayout
from s3pp.localfs.paths import MAX_NAME_BYTES, PARTIAL, partial_name, partial_stem
from s3pp.localfs.range_file import RangeFile, WrongRange
from s3pp.localfs.stale_files import KEPT, SupersededFiles, sweep
from s3pp.localfs.temporary_file import FileAttributes, TemporaryFile, Vanished
from s3pp.localfs.tree import Tree
from s3pp.records import GetPart
from s3pp.s3.multipart import Spans
from trees import content

BODY = bytes(range(250))
LAYOUT = RangeLayout("etag", len(BODY), 100, "md5")
NAME = partial_name("f", "bucket", "key", "etag")
RECORD = NAME.replace(".part", ".ranges")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "top"


@pytest.fixture(autouse=True, params=["anywhere", "smb"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the directory lies: on SMB other locks are taken."""
    place = str(request.param)
    monkeypatch.setattr(locks, "on_smb", lambda fd: place == "smb")
    return place


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial_file, "_WAITS", 2)
    monkeypatch.setattr(partial_file, "_WAIT", 0.001)


def begun(tree: Tree, layout: RangeLayout = LAYOUT, mode: int | None = None) -> PartialFile:
    return PartialFile(tree, "d/f", f"{NAME}", layout, mode=mode)


def part(led: PartialFile, number: int) -> GetPart:
    span = Spans(led.layout.size, led.layout.part_size).span(number)
    path, digest = led.temporary, led.layout.digest
    return GetPart("key", "etag", span, path, digest, led.claim, inode=led.inode)


def fetch(tree: Tree, led: PartialFile, number: int, body: bytes = BODY) -> str:
    """What a worker does with a range; returns its digest."""
    wanted = part(led, number)
    place = RangeFile(tree, wanted)
    place.write(b"an attempt that broke")
    place.restart()
    mine = body[wanted.span.offset :][: wanted.span.size]
    place.write(mine[:10])
    place.write(mine[10:])
    place.flush()
    place.record()
    place.close()
    return place.digest


def md5_of(number: int) -> str:
    return md5(BODY[(number - 1) * 100 :][:100]).hexdigest()


# Arriving


def test_ranges_in_any_order_make_the_file(tree: Tree, top: Path) -> None:
    led = begun(tree)
    assert (top / "d" / NAME).stat().st_size == len(BODY)  # the room is taken at once
    assert [fetch(tree, led, n) for n in (3, 1, 2)] == [md5_of(n) for n in (3, 1, 2)]
    assert b"".join(led.pieces()) == BODY
    assert b"".join(led.pieces(100, 30)) == BODY[100:130]
    assert led.finish(FileAttributes(10**18))
    assert os.listdir(top / "d") == ["f"]
    assert (top / "d/f").read_bytes() == BODY
    assert (top / "d/f").stat().st_mtime_ns == 10**18


@pytest.mark.parametrize("most", [1 << 20, 70_000, 1], ids=str)
def test_a_system_that_writes_less_is_asked_again(
    tree: Tree, top: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = content(600_000)
    layout = RangeLayout("etag", len(body), len(body), "crc32")
    led = begun(tree, layout)
    place = RangeFile(tree, part(led, 1))
    monkeypatch.setattr(
        os, "pwritev", lambda fd, pieces, at: os.pwrite(fd, b"".join(pieces)[:most], at)
    )
    for at in range(0, len(body), 16_384):
        place.write(body[at : at + 16_384])
        assert len(place._held) <= 16
    assert place.size == len(body)
    place.flush()
    assert (top / "d" / NAME).read_bytes() == body
    assert place.digest == place.digest_in_file() == f"{crc32(body):08x}"
    place.close()
    led.discard()


def test_more_than_the_range_is_refused(tree: Tree, top: Path) -> None:
    led = begun(tree)
    place = RangeFile(tree, part(led, 3))
    place.write(bytes(50))
    with pytest.raises(WrongRange):
        place.write(b"x")
    place.close()
    assert (top / "d" / NAME).stat().st_size == len(BODY)
    led.discard()
    assert os.listdir(top / "d") == []


def test_nothing_that_came_is_nothing_to_keep(tree: Tree, top: Path) -> None:
    assert begun(tree).keep_or_discard() is False
    assert os.listdir(top / "d") == []


@pytest.mark.parametrize(("mode", "bits"), [(None, 0o644), (0o100640, 0o640)])
def test_permissions_are_those_of_now(tree: Tree, top: Path, mode: int | None, bits: int) -> None:
    before = os.umask(0o022)
    try:
        led = begun(tree, mode=0o100600 if mode is None else None)
        fetch(tree, led, 1)
        led.keep_or_discard()
        again = begun(tree, mode=mode)
        assert stat.S_IMODE((top / "d" / NAME).stat().st_mode) == (0o644 if mode is None else 0o600)
        again.finish(FileAttributes())
    finally:
        os.umask(before)
    assert stat.S_IMODE((top / "d/f").stat().st_mode) == bits


# Going on


def test_what_came_is_known_again(tree: Tree, top: Path) -> None:
    led = begun(tree)
    for number in (1, 3):
        fetch(tree, led, number)
    assert led.keep_or_discard() is True
    assert sorted(os.listdir(top / "d")) == sorted([NAME, RECORD])
    again = begun(tree)
    assert again.known == {1: md5_of(1), 3: md5_of(3)}
    place = RangeFile(tree, part(again, 3))
    assert place.digest_in_file() == md5_of(3)
    place.close()
    again.discard()
    assert os.listdir(top / "d") == []


@pytest.mark.parametrize(
    ("layout", "goes_on"),
    [
        (LAYOUT, True),
        (LAYOUT._replace(part_size=125), False),  # the ranges are the object's parts
        (LAYOUT._replace(etag="other"), False),
        (LAYOUT._replace(size=249), False),
        (LAYOUT._replace(digest="crc32"), False),
    ],
)
def test_only_what_is_of_the_same_object(tree: Tree, layout: RangeLayout, goes_on: bool) -> None:
    led = begun(tree)
    fetch(tree, led, 1)
    led.keep_or_discard()
    again = begun(tree, layout)
    assert bool(again.known) is goes_on
    assert again.layout == layout
    assert again.size == layout.size
    again.discard()


def test_ranges_that_are_no_parts_may_have_any_size(tree: Tree) -> None:
    crcs = LAYOUT._replace(digest="crc32")
    led = begun(tree, crcs)
    fetch(tree, led, 1)
    led.keep_or_discard()
    again = begun(tree, crcs._replace(part_size=70))
    assert again.layout == crcs
    assert again.known.keys() == {1}
    again.discard()


@pytest.mark.parametrize("text", ["", "x", "0123456789abcdef {", "0123456789abcdef [1]\n1 2 3\n"])
def test_a_record_that_is_none_is_begun_anew(tree: Tree, top: Path, text: str) -> None:
    led = begun(tree)
    fetch(tree, led, 1)
    led.keep_or_discard()
    (top / "d" / RECORD).write_text(text)
    again = begun(tree)
    assert again.known == {}
    fetch(tree, again, 2)
    again.keep_or_discard()
    assert begun(tree).known == {2: md5_of(2)}


def test_torn_lines_are_passed_over(tree: Tree, top: Path) -> None:
    led = begun(tree)
    fetch(tree, led, 1)
    with (top / "d" / RECORD).open("ab") as file:
        file.write(b"2 100 0123\xff\n\0\0\0\n3 50")
    led.keep_or_discard()
    assert begun(tree).known == {1: md5_of(1)}


# Others


def test_a_living_lead_is_left_alone(tree: Tree, top: Path) -> None:
    led = begun(tree)
    fetch(tree, led, 1)
    with pytest.raises(InUse):
        begun(tree)
    fetch(tree, led, 2)  # and nothing was taken from it
    led.keep_or_discard()
    assert begun(tree).known.keys() == {1, 2}


def test_nobody_writes_for_a_lead_that_is_gone(tree: Tree) -> None:
    led = begun(tree)
    fetch(tree, led, 1)
    orphan = part(led, 2)
    led.keep_or_discard()
    again = begun(tree)
    with pytest.raises(Vanished):
        RangeFile(tree, orphan)
    RangeFile(tree, part(again, 2)).close()
    again.discard()


def test_those_who_still_write_are_waited_for(tree: Tree) -> None:
    led = begun(tree)
    fetch(tree, led, 1)
    orphan = RangeFile(tree, part(led, 2))
    led.keep_or_discard()
    with pytest.raises(InUse):
        begun(tree)
    orphan.close()
    again = begun(tree)
    assert again.known.keys() == {1}
    again.discard()


def test_what_others_could_write_to_is_not_gone_on_with(tree: Tree, top: Path) -> None:
    led = begun(tree)
    fetch(tree, led, 1)
    led.keep_or_discard()
    os.link(top / "d" / NAME, top / "theirs")
    with pytest.raises(InUse):
        begun(tree)
    (top / "d" / NAME).unlink()
    (top / "d" / NAME).symlink_to(top / "theirs")
    with pytest.raises(InUse):
        begun(tree)
    assert (top / "theirs").stat().st_size == len(BODY)


def test_a_part_whose_file_was_swapped_writes_nowhere(tree: Tree, top: Path) -> None:
    led = begun(tree)
    (top / "theirs").write_bytes(b"theirs")
    (top / "d" / NAME).unlink()
    os.link(top / "theirs", top / "d" / NAME)
    with pytest.raises(ObjectError):
        RangeFile(tree, part(led, 1))
    assert (top / "theirs").read_bytes() == b"theirs"


def test_nor_when_it_is_swapped_for_another_of_ours(tree: Tree, top: Path) -> None:
    led = begun(tree)
    (top / "d" / NAME).unlink()
    (top / "d" / NAME).write_bytes(b"ours")
    with pytest.raises(Vanished):
        RangeFile(tree, part(led, 1))
    assert (top / "d" / NAME).read_bytes() == b"ours"


def test_a_mount_may_show_another_owner(
    tree: Tree, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with root_squash, or uid=: whoever makes a file there, it is another's."""
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    led = begun(tree)
    fetch(tree, led, 1)
    assert led.keep_or_discard() is True
    again = begun(tree)
    assert again.known == {1: md5_of(1)}
    for number in (2, 3):
        fetch(tree, again, number)
    assert again.finish(FileAttributes())
    assert os.listdir(top / "d") == ["f"]
    assert (top / "d/f").read_bytes() == BODY


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", [NAME, RECORD])
def test_what_another_has_put_there_is_not_gone_on_with(tree: Tree, top: Path, name: str) -> None:
    led = begun(tree)
    fetch(tree, led, 1)
    led.keep_or_discard()
    os.chown(top / "d" / name, 4242, -1)
    with pytest.raises(InUse):
        begun(tree)


def refuse_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(fcntl, "fcntl", refuse)


def test_no_locks_no_going_on(tree: Tree, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_locks(monkeypatch)
    with pytest.raises(NoLocks, match="No locks available"):
        begun(tree)
    assert os.listdir(top / "d") == []


def test_what_was_begun_with_locks_outlives_their_absence(
    tree: Tree, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    led = begun(tree)
    fetch(tree, led, 1)
    led.keep_or_discard()
    with monkeypatch.context() as patch:
        refuse_locks(patch)
        with pytest.raises(NoLocks):
            begun(tree)
        now = (top / "d" / NAME).stat().st_ctime
        assert sweep(tree, "d", clock=lambda: now + KEPT - 60) == 0
    assert begun(tree).keep_or_discard()
    refuse_locks(monkeypatch)
    assert sweep(tree, "d", clock=lambda: now + KEPT + 60) == 1
    assert os.listdir(top / "d") == []


# SMB


def is_walled(path: Path) -> bool:
    """Whether a lock lies on what is in a file, or on all of it."""
    fd, flock = os.open(path, os.O_RDWR), struct.Struct("hhqqi")
    try:
        bytes_of_it = flock.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 1 << 50, 0)
        told = flock.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, bytes_of_it))
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return bool(told[0] != fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def test_what_others_write_to_has_no_wall_where_locks_are_walls(
    tree: Tree, top: Path, place: str
) -> None:
    led, plain = begun(tree), TemporaryFile(tree, "d/g")
    plain.preallocate(100)
    mine = RangeFile(tree, part(led, 1))
    walled = {name for name in os.listdir(top / "d") if is_walled(top / "d" / name)}
    assert walled == (set() if place == "smb" else {NAME, RECORD, plain.temporary[2:]})
    mine.close()
    for arriving in (led, plain):
        arriving.discard()


def test_but_nobody_takes_it_away(tree: Tree, top: Path) -> None:
    led, plain = begun(tree), TemporaryFile(tree, "d/g")
    now = (top / "d" / NAME).stat().st_ctime
    before = sorted(os.listdir(top / "d"))
    assert sweep(Tree(str(top)), "d", clock=lambda: now + 2 * KEPT) == 0
    SupersededFiles(tree).remove("d/f", keep="")
    assert sorted(os.listdir(top / "d")) == before
    for arriving in (led, plain):
        arriving.discard()
    assert os.listdir(top / "d") == []


# What is left over


def test_a_sweeper_leaves_what_can_be_gone_on_with(
    tree: Tree, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    led = begun(tree)
    fetch(tree, led, 1)
    led.keep_or_discard()
    assert sweep(tree, "d") == 0
    assert begun(tree).keep_or_discard()
    now = (top / "d" / NAME).stat().st_ctime
    assert sweep(tree, "d", clock=lambda: now + KEPT - 60) == 0
    held = begun(tree)
    assert sweep(tree, "d", clock=lambda: now + KEPT + 60) == 0
    held.keep_or_discard()
    assert sweep(tree, "d", clock=lambda: now + KEPT + 60) == 1
    assert os.listdir(top / "d") == []


def test_a_record_alone_is_swept(tree: Tree, top: Path) -> None:
    led = begun(tree)
    fetch(tree, led, 1)
    led.keep_or_discard()
    (top / "d" / NAME).unlink()
    assert sweep(tree, "d") == 1
    assert os.listdir(top / "d") == []


def test_what_was_begun_of_a_replaced_object_goes(tree: Tree, top: Path) -> None:
    names = [partial_name("f", "bucket", "key", etag) for etag in ("old", "older", "new")]
    other = partial_name("f2", "bucket", "key", "old")
    (top / "d").mkdir(parents=True)
    for name in (*names, other, names[0].replace(".part", ".ranges")):
        (top / "d" / name).touch()
    SupersededFiles(tree).remove("d/f", keep=names[2])
    assert sorted(os.listdir(top / "d")) == sorted([names[2], other])


def test_names_are_of_one_target_and_one_origin() -> None:
    long = "é" * 200
    names = {partial_name(n, *o) for n in ("f", "g", long) for o in (("a", "b"), ("a", "c"))}
    assert len(names) == 6
    assert all(len(name.replace(".part", ".ranges").encode()) <= MAX_NAME_BYTES for name in names)
    assert partial_stem(long) != partial_stem(f"{long}2")
    assert PARTIAL.search(partial_name("f", "a"))
