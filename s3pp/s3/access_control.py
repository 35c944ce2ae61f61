"""The ACL of an object: grants of permissions to users and groups (API reference, "PutObjectAcl").

An ACL is written as a whole, so grants are added to the one that is there: else the grant of the
object's owner, and those that the bucket or the request gave, would be gone.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import md5, sha256
from html import escape
from xml.etree import ElementTree
from xml.parsers import expat

from s3pp.access import Grant
from s3pp.errors import FailureKind, ObjectError
from s3pp.s3.answers import parse_entries
from s3pp.s3.client import Bucket, Call

_QUERY = "acl="
_END, _EMPTY = b"</AccessControlList>", b"<AccessControlList/>"
_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


class AclRequests:
    """The operations on the ACLs of a bucket's objects; errors as in ``client``."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def get(self, key: str) -> bytes:
        """GetObjectAcl; the XML document."""
        answer = await self._bucket.call(Call("GET", self._bucket.endpoint.path(key), _QUERY))
        return answer.response.body

    async def put(self, key: str, acl: bytes) -> None:
        """PutObjectAcl, which needs a checksum."""
        digest = b64encode(md5(acl, usedforsecurity=False).digest()).decode()
        headers = (("content-md5", digest), ("content-type", "application/xml"))
        path, payload_hash = self._bucket.endpoint.path(key), sha256(acl).hexdigest()
        await self._bucket.call(Call("PUT", path, _QUERY, headers, acl, payload_hash))


def add_grants(acl: bytes, grants: Sequence[Grant]) -> bytes | None:
    """Return the document ``acl`` with ``grants`` added; None if it has all of them.

    What it has is kept as it is. Raises ``ObjectError`` for a document that is no ACL.
    """
    there = _grants_of(acl)
    missing = [grant for grant in dict.fromkeys(grants) if grant not in there]
    if not missing:
        return None
    added = "".join(map(_element, missing)).encode()
    before, end, after = acl.replace(_EMPTY, _EMPTY[:-2] + b">" + _END).rpartition(_END)
    if not end:
        raise _unreadable()
    return before + added + end + after


def _grants_of(acl: bytes) -> set[Grant]:
    try:
        parse_entries(acl, "AccessControlList")  # refuses what could fill the memory
        root = ElementTree.fromstring(acl)
    except (ElementTree.ParseError, expat.ExpatError, ValueError, LookupError):
        raise _unreadable() from None
    if root.tag.rpartition("}")[2] != "AccessControlPolicy":
        raise _unreadable()
    found = set()
    for grant in root.iterfind(".//{*}Grant"):
        names = (grant.findtext(f"{{*}}Grantee/{{*}}{tag}") for tag in _TAGS.values())
        grantee = next(filter(None, names), "")
        found.add(Grant(grant.findtext("{*}Permission") or "", grantee))
    return found


def _unreadable() -> ObjectError:
    return ObjectError(FailureKind.STORE, "the store's answer is no ACL")


_TAGS = {"CanonicalUser": "ID", "Group": "URI", "AmazonCustomerByEmail": "EmailAddress"}


def _element(grant: Grant) -> str:
    kind = _kind(grant)
    grantee = f"<{_TAGS[kind]}>{escape(grant.grantee)}</{_TAGS[kind]}>"
    permission = f"<Permission>{escape(grant.permission)}</Permission>"
    return f'<Grant><Grantee {_XSI} xsi:type="{kind}">{grantee}</Grantee>{permission}</Grant>'


def _kind(grant: Grant) -> str:
    if grant.by_email:
        return "AmazonCustomerByEmail"
    return "Group" if "://" in grant.grantee else "CanonicalUser"
