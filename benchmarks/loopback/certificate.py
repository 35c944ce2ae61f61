"""A certificate for loopback, made afresh: nothing secret is kept in the repository."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def server_context(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A TLS context for a server on 127.0.0.1, and the file by which clients can trust it."""
    # P-256: the cheapest handshake, which favours the tools that reconnect most.
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = folder / "ca.pem"
    certificate.write_bytes(_certify(key).public_bytes(serialization.Encoding.PEM))
    secret = folder / "key.pem"
    secret.touch(mode=0o600)
    secret.write_bytes(_private(key))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, secret)
    secret.unlink()
    return context, certificate


def _certify(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Self-signed, for a day: its own authority, with what strict verifiers look for."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "s3pp loopback peer")])
    now = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - hour)
        .not_valid_after(now + 24 * hour)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.SubjectAlternativeName(_names()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def _names() -> list[x509.GeneralName]:
    address = ipaddress.IPv4Address("127.0.0.1")
    return [x509.DNSName("localhost"), x509.IPAddress(address)]


def _usage() -> x509.KeyUsage:
    names = (
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(digital_signature=True, key_cert_sign=True, **dict.fromkeys(names, False))


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
