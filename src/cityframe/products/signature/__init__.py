"""Signatures: who published a package, who received it, and which keys may say so.

The files are specified in ``docs/formats/signature.md``.
"""

from cityframe.products.signature.public_key import PublicKey, key_id, moment_text
from cityframe.products.signature.signed import Signature, SignedStatement
from cityframe.products.signature.signing_key import (
    PASSPHRASE_VARIABLE,
    SigningKey,
    public_path,
    sign_rotation,
)
from cityframe.products.signature.standing import KeyStatus, Role, TrustedKey
from cityframe.products.signature.statement import (
    AcknowledgementStatement,
    LayerCount,
    PackageStatement,
    RecallStatement,
    ReceiptStatement,
    RevocationStatement,
    RotationStatement,
    Statement,
)
from cityframe.products.signature.trust import TrustStore, change_trust

__all__ = [
    "PASSPHRASE_VARIABLE",
    "AcknowledgementStatement",
    "KeyStatus",
    "LayerCount",
    "PackageStatement",
    "PublicKey",
    "RecallStatement",
    "ReceiptStatement",
    "RevocationStatement",
    "Role",
    "RotationStatement",
    "Signature",
    "SignedStatement",
    "SigningKey",
    "Statement",
    "TrustStore",
    "TrustedKey",
    "change_trust",
    "key_id",
    "moment_text",
    "public_path",
    "sign_rotation",
]
