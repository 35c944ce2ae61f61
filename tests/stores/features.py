"""What each store lacks of what the tests ask for, and how that shows: the one place that knows.

``Store.features`` is for tests that assert less where something is missing. ``DIFFERENCES`` names
the tests that cannot hold on a store, and why: they are expected to fail there, so that a store
that has learned something is noticed. docs/stores.rst says the same to users.
"""

from __future__ import annotations

from dataclasses import dataclass

FEATURES = {
    "tagging": "keeps tags",
    "sse": "server-side encryption",
    "storage_class": "more storage classes than STANDARD",
    "acl": "keeps canned ACLs",
    "grants": "changes the ACLs of objects",
    "checksums": "gives checksums back",
    "crc64nvme": "keeps the CRC64NVME of objects sent in parts, and reports it of each part",
}

MISSING = {
    "moto": frozenset({"crc64nvme"}),
    "swift": frozenset(FEATURES),
    "rgw": frozenset({"sse", "storage_class", "checksums", "crc64nvme"}),
    "seaweedfs": frozenset({"sse", "acl"}),
}


@dataclass(frozen=True)
class Difference:
    """Tests that fail on ``store``: ``file::name``, or ``file::name[text`` for some cases of it."""

    store: str
    reason: str
    tests: tuple[str, ...]

    def covers(self, store: object, test: str, case: str) -> bool:
        """Whether it is about this case of ``file::name``."""
        return store == self.store and any(_matches(each, test, case) for each in self.tests)


def _matches(pattern: str, test: str, case: str) -> bool:
    name, _, text = pattern.partition("[")
    return name == test and text in case


DIFFERENCES = (
    Difference(
        "rgw",
        "400 to STANDARD_IA without a placement for it",
        (
            "test_copy_carried::test_everything_is_carried",
            "test_copy_large::test_everything_is_carried",
        ),
    ),
    Difference(
        "rgw",
        "CopyObject and CompleteMultipartUpload ignore If-None-Match",
        (
            "test_copy_modes::test_add_never_touches_what_is_there_and_says_where_it_differs",
            "test_put_large::test_what_another_writes_meanwhile_stays_in_mode_add",
        ),
    ),
    Difference(
        "rgw",
        "CompleteMultipartUpload answers no ETag",
        ("test_uploads::test_from_the_first_part_to_the_object",),
    ),
    Difference(
        "rgw",
        "partNumber is ignored, so nobody knows how long the parts of an object are",
        (
            "test_copy_large::test_a_completion_whose_answer_was_lost",
            "test_copy_large::test_a_source_replaced_between_parts_is_never_mixed",
            "test_copy_large::test_an_error_in_an_answer_of_200_is_an_error",
            "test_get_parted::test_one_bit_that_comes_wrong_once_comes_again",
            "test_get_parted::test_one_bit_that_is_always_wrong_fails_the_object",
            "test_verify_ends::test_what_differs_is_named[rgw-False",
        ),
    ),
    Difference(
        "rgw",
        "a continuation token with a control character makes a page that is no XML",
        (
            "test_get_names::"
            "test_odd_keys_land_right_or_fail_by_name_and_nothing_leaves_the_directory",
        ),
    ),
    Difference(
        "rgw",
        "the slashes of listed keys are encoded, so that the first page is asked for both ways",
        (
            "test_copy_modes::test_a_second_run_costs_two_listings_and_nothing_else",
            "test_put_requests::test_a_second_run_reads_the_listing_and_nothing_else",
        ),
    ),
    Difference(
        "seaweedfs",
        "keys are listed directory by directory, and start-after is not obeyed",
        (
            "test_get_names::test_a_tree_arrives_whole",
            "test_list::test_a_line_for_each_key",
            "test_list::test_an_object_for_each_key",
            "test_list::test_an_object_that_is_left_out_is_named_with_what_means_it",
            "test_list::test_what_a_source_means[found0",
            "test_list::test_what_a_source_means[found1",
            "test_list::test_what_a_source_means[found4",
            "test_list::test_what_a_source_means[found6",
            "test_put_modes::test_update_knows_again_what_every_size_holds",
        ),
    ),
    Difference(
        "seaweedfs",
        "keys are paths: no //, no .., no backslash, no a beside a/b, no dir/ beside dir/x",
        (
            "test_copy_names::test_a_tree_is_copied_whole",
            "test_copy_names::test_odd_keys_are_copied_as_they_are_and_known_again",
            "test_get_names::test_a_file_and_a_directory_of_one_name",
            "test_get_names::test_directory_markers",
            "test_get_names::test_keys_that_are_no_paths_are_addressed_as_they_are",
            "test_get_names::test_keys_that_lead_elsewhere_fail_by_name",
            "test_get_names::test_keys_that_lead_elsewhere_from_a_prefix",
            "test_get_names::"
            "test_odd_keys_land_right_or_fail_by_name_and_nothing_leaves_the_directory",
            "test_get_names::test_odd_names_arrive_as_they_are",
            "test_get_names::test_segments_that_are_too_long",
            "test_list::test_keys_that_a_terminal_must_not_obey",
            "test_odd_files::test_odd_names_arrive_as_they_are",
            "test_put_tree::test_odd_names_are_keys_as_they_are_and_found_again",
            "test_uploads::test_from_the_first_part_to_the_object[//x/../y",
        ),
    ),
    Difference(
        "seaweedfs",
        "metadata without a value is not kept",
        ("test_put_objects::test_metadata_may_be_empty",),
    ),
    Difference(
        "seaweedfs",
        "a type is guessed where none is sent",
        ("test_put_objects::test_types_are_guessed_by_name",),
    ),
    Difference(
        "seaweedfs",
        "the checksums of parts are given back, so that no notice is due",
        ("test_put_large::test_checksums",),
    ),
    Difference(
        "seaweedfs",
        "an abort of an upload that is gone is answered with success",
        (
            "test_uploads::test_what_is_aborted_is_gone",
            "test_uploads::test_what_is_completed_cannot_be_aborted",
        ),
    ),
)


def features_of(store: str) -> frozenset[str]:
    """What the store has."""
    return frozenset(FEATURES) - MISSING[store]
