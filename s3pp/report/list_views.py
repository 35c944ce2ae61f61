"""Which lines a listing has: of keys, of one level, of buckets, or of sums."""

from __future__ import annotations

from s3pp.job import Job
from s3pp.listing_options import ListingOptions
from s3pp.report.lines import KeyView

PLAIN = ListingOptions()


def view_of(job: Job) -> KeyView:
    """Return the view of a listing: the lines of each page, and the last line."""
    if job.verb == "list" and job.listing == PLAIN:
        return KeyView.of(job)
    from s3pp.report import grouped_lines  # what few listings need

    return grouped_lines.view_of(job)
