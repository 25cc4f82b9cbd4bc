"""What can be signed: each type of statement with its fields, and nothing else."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from cityframe.products.signature.document import Part, Text
from cityframe.products.signature.public_key import KeyId, Moment, PublicKey

ReleaseNumber = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ChainDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
LayerDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Statement(Part):
    """One type of statement; frozen, and refusing fields that it does not know.

    Attributes
    ----------
    about : int or None
        The release that it is about; None if it names none.
    """

    is_about_keys: ClassVar[bool] = False

    type: str
    format_version: Literal[1] = 1

    @property
    def about(self) -> int | None:
        """The release that the statement is about."""
        return None

    def statement(self) -> dict[str, Any]:
        """Return what is signed, JSON-ready."""
        return self.model_dump(mode="json")


class PackageStatement(Statement):
    """The publisher: this is the package of a release.

    Attributes
    ----------
    manifest_digest : str
        The digest of the package's manifest, which covers all its files.
    parent_digest : str or None
        Chain digest of the parent release; None in a full package.
    release_digest : str
        Chain digest of the release.
    """

    type: Literal["package"] = "package"
    manifest_digest: Sha256
    kind: Literal["full", "change"]
    release: ReleaseNumber
    parent_digest: ChainDigest | None
    release_digest: ChainDigest

    @model_validator(mode="after")
    def _has_its_parent(self) -> Self:
        if (self.kind == "change") != (self.parent_digest is not None):
            message = "a parent in a change package, and only there"
            raise ValueError(message)
        return self

    @property
    def about(self) -> int:
        """The release of the package."""
        return self.release


class LayerCount(Part):
    """A whole layer as the subscriber has it: number of features and order-free digest."""

    count: Annotated[int, Field(ge=0)]
    digest: LayerDigest


class ReceiptStatement(Statement):
    """A subscriber: this package was applied, and this is what stands here now."""

    type: Literal["receipt"] = "receipt"
    subscriber: Text
    manifest_digest: Sha256
    release: ReleaseNumber
    layers: dict[str, LayerCount]
    applied_at: Moment

    @property
    def about(self) -> int:
        """The release that was applied."""
        return self.release


class RecallStatement(Statement):
    """The publisher: this release is withdrawn; ``replaced_by`` is a release, or None."""

    type: Literal["recall"] = "recall"
    release: ReleaseNumber
    release_digest: ChainDigest
    reason: Text
    replaced_by: ReleaseNumber | None
    issued_at: Moment

    @property
    def about(self) -> int:
        """The release that is withdrawn."""
        return self.release


class AcknowledgementStatement(Statement):
    """A subscriber: the recall was read; ``recall`` is the digest of its signed statement."""

    type: Literal["acknowledgement"] = "acknowledgement"
    recall: Sha256
    subscriber: Text
    acknowledged_at: Moment


class RotationStatement(Statement):
    """The old and the new key together: from a release on, the new one signs."""

    is_about_keys: ClassVar[bool] = True

    type: Literal["key-rotation"] = "key-rotation"
    old: KeyId
    new: PublicKey
    from_release: ReleaseNumber

    @model_validator(mode="after")
    def _has_two_keys(self) -> Self:
        if self.old == self.new.id:
            message = "two different keys"
            raise ValueError(message)
        return self


class RevocationStatement(Statement):
    """A key in force: what a key signed about this release and later ones is void."""

    is_about_keys: ClassVar[bool] = True

    type: Literal["key-revocation"] = "key-revocation"
    key: KeyId
    reason: Text
    from_release: ReleaseNumber


_ALL: tuple[type[Statement], ...] = (
    PackageStatement,
    ReceiptStatement,
    RecallStatement,
    AcknowledgementStatement,
    RotationStatement,
    RevocationStatement,
)
STATEMENTS = {str(kind.model_fields["type"].default): kind for kind in _ALL}
"""All types of statement, by the name that they are signed under."""
