"""What objects are sent with: type, headers, tags, permissions, storage, checksum."""

from __future__ import annotations

from dataclasses import dataclass

from s3pp.access import Grant
from s3pp.limits import ACLS, AUTO, CHECKSUMS, GROUPS, PERMISSIONS
from s3pp.option import FILE, Value, choice, option


@dataclass(frozen=True)
class ObjectRule:
    """The attributes of objects whose names match a pattern, see ``args/object_rules``."""

    patterns: tuple[str, ...]
    objects: Objects  # all of them: what the rule does not set is as the command line has it
    file: str
    line: int  # in the file


@dataclass(frozen=True)
class Objects:
    """Attributes of every object sent.

    Fields without an option of their own are set by several (``args/building.py``).
    """

    content_type: str = "guess"  # "guess", "magic", or a literal type
    gzip_types: frozenset[str] = frozenset()  # empty: no compression; {"all"}: everything
    headers: tuple[tuple[str, str], ...] = ()  # as given, e.g. ("Cache-Control", "max-age=60")
    metadata: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = option(
        (), "--tag", Value("K=V", "tag"), help="an object tag"
    )
    acl: str | None = option(
        None,
        "--acl",
        "--grant",
        choice("ACL", *ACLS),
        help=f"a canned ACL: {', '.join(ACLS)}",
    )
    grants: tuple[Grant, ...] = option(
        (),
        "--grant-to",
        Value("PERMISSION:GRANTEE", "grant"),
        help=f"add to each object's ACL: {', '.join(PERMISSIONS)}; to a canonical user ID, a group"
        f" ({', '.join(GROUPS)}, or its URI), or an e-mail address",
    )
    storage_class: str | None = option(
        None, "--storage-class", Value("CLASS", "token"), help="such as STANDARD_IA"
    )
    sse: str | None = option(
        None,
        "--sse",
        choice("KIND", "AES256", "aws:kms"),
        help="encryption by the store: AES256 or aws:kms",
    )
    sse_kms_key_id: str | None = option(
        None, "--sse-kms-key-id", Value("ID", "visible"), help="the key for --sse aws:kms"
    )
    checksum: str = option(
        AUTO,
        "--checksum",
        choice("KIND", *CHECKSUMS),
        help=f"checksum that the store verifies: {', '.join(CHECKSUMS[1:])}; or auto (default):"
        " crc64nvme for large objects where the store keeps it, else md5",
    )
    rules_file: str | None = option(
        None,
        "--rules",
        FILE,
        help="a TOML file of attributes by pattern: of an object the first rule that matches holds",
    )
    rules: tuple[ObjectRule, ...] = ()  # what that file says
    directive: str = option(  # of a copy
        "copy",
        "--metadata-directive",
        choice("WHAT", "copy", "replace"),
        help="copy: keep type, headers and metadata (default); replace: use those given here",
    )
