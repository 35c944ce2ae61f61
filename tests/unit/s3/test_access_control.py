"""Grants that are added to the XML of an ACL."""

from __future__ import annotations

from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.access import Grant
from s3pp.errors import ObjectError
from s3pp.limits import GROUPS, PERMISSIONS
from s3pp.s3.access_control import _grants_of, add_grants

OWNER = Grant("FULL_CONTROL", "owner-id")
READ = Grant("READ", "a" * 64)

permissions = st.sampled_from(PERMISSIONS)
grantees = (
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
    | st.sampled_from(sorted(GROUPS.values()))
    | st.emails()
    | st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1)
)
grants = st.builds(Grant, permissions, grantees)


NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def document(namespace: str = NAMESPACE) -> bytes:
    owner = (
        '<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:type="CanonicalUser"><ID>owner-id</ID><DisplayName>Ü &amp; Co</DisplayName></Grantee>'
        "<Permission>FULL_CONTROL</Permission></Grant>"
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<AccessControlPolicy{namespace}><Owner>'
        f"<ID>owner-id</ID></Owner><AccessControlList>{owner}</AccessControlList>"
        "</AccessControlPolicy>"
    ).encode()


@given(st.lists(grants, min_size=1, max_size=5), st.sampled_from(["", NAMESPACE]))
def test_what_is_asked_for_is_added_to_what_is_there(wanted: list[Grant], namespace: str) -> None:
    acl = document(namespace)
    made = add_grants(acl, wanted)
    assert made is not None
    assert _grants_of(made) == {OWNER, *wanted}
    head, _, tail = acl.rpartition(b"</AccessControlList>")
    assert made.startswith(head)
    assert made.endswith(tail)
    assert add_grants(made, wanted) is None
    assert made.count(b"<Grant>") == 1 + len(set(wanted))


@pytest.mark.parametrize(
    ("grant", "kind", "named"),
    [
        (READ, "CanonicalUser", f"<ID>{READ.grantee}</ID>"),
        (Grant("READ", GROUPS["AllUsers"]), "Group", f"<URI>{GROUPS['AllUsers']}</URI>"),
        (Grant("READ", "http://x/@y"), "Group", "<URI>http://x/@y</URI>"),
        (Grant("WRITE_ACP", "a&b@example.org"), "AmazonCustomerByEmail",
         f"<EmailAddress>{escape('a&b@example.org')}</EmailAddress>"),
    ],
)  # fmt: skip
def test_the_kinds_of_grantees(grant: Grant, kind: str, named: str) -> None:
    made = (add_grants(document(), [grant]) or b"").decode()
    assert f'xsi:type="{kind}">{named}</Grantee><Permission>{grant.permission}</Per' in made


def test_an_acl_without_grants() -> None:
    empty = b"<AccessControlPolicy><Owner/><AccessControlList/></AccessControlPolicy>"
    assert _grants_of(add_grants(empty, [READ]) or b"") == {READ}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html><body>log in</body></html>",
        b"<html>",
        b"<ListBucketResult></ListBucketResult>",
        b"<AccessControlPolicy></AccessControlPolicy>",
        b'<?xml version="1.0" encoding="unknown"?><AccessControlPolicy/>',
    ],
)
def test_another_document_is_not_written_back(answer: bytes) -> None:
    with pytest.raises(ObjectError, match="no ACL"):
        add_grants(answer, [READ])
