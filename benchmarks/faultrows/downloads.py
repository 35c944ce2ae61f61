"""D1-D17: faults of downloads; S1 and S2: of mirrors."""

from __future__ import annotations

import base64
import subprocess
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from faultrows.judging import (
    LARGE,
    PARTS,
    Impossible,
    Place,
    Row,
    Verdict,
    finish,
    rules,
)
from faults.listing_pages import LATER_PAGE, PAGES, Circle, Harm, SmallPages, not_xml, without_token
from faults.trials import Transfer
from stores.fault_actions import (
    Call,
    Delay,
    Rewrite,
    Stall,
    Status,
    Truncate,
    flipped,
    halved,
)
from stores.fault_proxy import Rule
from trees import Content, content

SMALL: Mapping[str, Content] = {"a": 5000, "m/n": 5000, "z": 5000}
OBJECT = "/a$"
HUNDREDS = 300  # keys in a page
MANY: Mapping[str, Content] = {f"{n:04}": 10 for n in range(1200)}
PAGE_FAILS = Rule(Status(500, "InternalError"), "GET", LATER_PAGE)
OUTSIDE = ("../x", "a/../../x", "/abs/x")


def downloading(
    fault: Callable[[Transfer], None], files: Mapping[str, Content] = SMALL, *options: str
) -> Callable[[Place], Verdict]:
    """Get the objects while the fault is in the way."""

    def act(place: Place) -> Verdict:
        trial = place.get()
        expected = trial.fill(files)
        fault(trial)
        return finish(trial, trial.start(*options), expected)

    return act


def of_object(
    action: Rewrite | Stall | Status | Truncate, times: int = 0
) -> Callable[[Place], Verdict]:
    """The GETs of one object meet the action."""
    return downloading(rules(Rule(action, "GET", OBJECT, times=times)))


def flipped_with_crc(place: Place) -> Verdict:
    """A flipped bit in a small and in a large object whose CRC32 the store keeps."""
    trial = place.get()
    expected = {"a": content(5000), "large": content(LARGE)}
    for key, body in expected.items():
        crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
        trial.bucket.put(key, body, ChecksumAlgorithm="CRC32", ChecksumCRC32=crc)
    trial.inject(Rule(Rewrite(flipped), "GET", "/(a|large)$"))
    return finish(trial, trial.start(*PARTS), expected)


def keys_that_lead_out(place: Place) -> Verdict:
    """Keys that are no paths inside the directory, beside one that is."""
    trial = place.get()
    trial.fill(dict.fromkeys(OUTSIDE, b"evil"))
    return finish(trial, trial.start(), trial.fill({"z": 5000}))


def linked_directory(place: Place) -> Verdict:
    """A directory inside the destination is a link that leads out of it."""
    trial = place.get()
    expected = trial.fill({"link/x": 5000, "z": 5000})
    outside = trial.surroundings / "elsewhere"
    outside.mkdir(parents=True)
    trial.directory.mkdir(parents=True)
    (trial.directory / "link").symlink_to(outside)
    return finish(trial, trial.start(), expected)


def file_and_directory(place: Place) -> Verdict:
    """An object that is named as another's directory; the rest must arrive."""
    trial = place.get()
    expected = trial.fill({"a": 5000, "a/b": 5000, "z": 5000})
    verdict = finish(trial, trial.start(), expected)
    here = trial.arrived().keys()
    if not verdict.broken and ("z" not in here or len(here) != 2):
        return Verdict("X", f"only {', '.join(sorted(here))} arrived")
    return replace(verdict, note=verdict.note or f"{' and '.join(sorted(here))} done")


def full_disk(place: Place) -> Verdict:
    """A destination of 3 MB for 5.6 MB."""
    trial = place.get()
    expected = trial.fill({f"f{n}": 700_000 for n in range(8)})
    trial.directory.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "s3pp-faults", str(trial.directory)]
    if subprocess.run(command, capture_output=True).returncode:
        raise Impossible("needs the right to mount")
    try:
        verdict = finish(trial, trial.start(), expected)
        left = trial.temporaries()
        return Verdict("X", "temporary files left") if left else verdict
    finally:
        subprocess.run(["umount", "-l", str(trial.directory)], check=True)


def old_file(place: Place) -> Verdict:
    """A GET that fails each time, onto a file that is there."""
    trial = place.get()
    expected = trial.fill(SMALL)
    expected |= trial.stand({"a": b"the old file"})
    trial.inject(Rule(Status(500, "InternalError"), "GET", OBJECT))
    verdict = finish(trial, trial.start(), expected)
    return replace(verdict, note=verdict.note or "the old file was kept")


def replaced(place: Place) -> Verdict:
    """A large object is replaced between two of its ranges: one or the other, never both."""
    trial = place.get()
    trial.fill({"large": LARGE})
    new = content(LARGE, "new")
    put = Call(lambda _: trial.bucket.put("large", new))
    trial.inject(Rule(put, "GET", "/large$", skip=1, times=1))
    return finish(trial, trial.start(*PARTS), {"large": new})


def killed(place: Place) -> Verdict:
    """SIGKILL of every process in the middle of a large object, and the same command again."""
    trial = place.get()
    expected = trial.fill({"large": LARGE, "z": 5000})
    trial.inject(Rule(Delay(1.0), "GET", "/large$", skip=1))
    running = trial.start(*PARTS, "--concurrency=2")
    trial.proxy.wait_for(4, "GET")
    running.kill()
    running.close()
    trial.inject()
    verdict = finish(trial, trial.start(*PARTS), expected)
    left = trial.temporaries()
    return Verdict("X", f"left: {', '.join(left)}") if left else verdict


def pages(*injected: Rule) -> Callable[[Place], Verdict]:
    """A bucket of 1,200 objects, whose listing meets the rules."""
    return downloading(rules(*injected), MANY)


def later(harm: Harm, query: str) -> Rule:
    """Pages of a few hundred keys; those with ``query`` in their request are harmed."""
    return Rule(SmallPages(HUNDREDS, harm, query), "GET", PAGES)


def mirrored(*injected: Rule) -> Callable[[Place], Verdict]:
    """A directory like the bucket, and a file that is not in it: nothing may be deleted."""

    def act(place: Place) -> Verdict:
        trial = place.get()
        expected = trial.fill(MANY) | trial.stand({**MANY, "old": 10})
        trial.inject(*injected)
        verdict = finish(trial, trial.start("--delete"), expected)
        deleted = expected.keys() - trial.arrived().keys()
        if deleted:
            return Verdict("X", f"deleted: {len(deleted)}")
        return replace(verdict, note="nothing was deleted")

    return act


ROWS = (
    Row("D1", "body truncated once", of_object(Truncate(), 1)),
    Row("D2", "body truncated always", of_object(Truncate())),
    Row("D3", "shorter but self-consistent body", of_object(Rewrite(halved))),
    Row("D4", "bit flip, no stored checksum", of_object(Rewrite(flipped))),
    Row("D4b", "bit flip, stored CRC32: 5 KB and 24 MiB in ranges", flipped_with_crc),
    Row("D5", "500 twice", of_object(Status(500, "InternalError"), 2)),
    Row("D6", "keys ../x, a/../../x, /abs/x", keys_that_lead_out),
    Row("D7", "linked directory inside the destination", linked_directory),
    Row("D8", "keys a and a/b", file_and_directory),
    Row("D9", "disk full", full_disk),
    Row("D10", "old file when the GET fails", old_file),
    Row("D11", "list page 2: 500", pages(PAGE_FAILS)),
    Row("D12", "list page 2: no XML", pages(later(not_xml, LATER_PAGE))),
    Row("D13", "object replaced between ranges", replaced),
    Row("D14", "SIGKILL in the middle, run again", killed),
    Row("D15", "IsTruncated, no token", pages(later(without_token, ""))),
    Row("D16", "the same token for ever", pages(Rule(Circle(HUNDREDS, 1), "GET", PAGES))),
    Row("D17", "GET stalls in the middle of the body", of_object(Stall(), 1)),
    Row("S1", "--delete, the source's listing fails", mirrored(PAGE_FAILS)),
    Row("S2", "--delete, list page 2 is no XML", mirrored(later(not_xml, LATER_PAGE))),
)  # fmt: skip
