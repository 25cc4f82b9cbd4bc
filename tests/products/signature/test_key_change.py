import base64
import datetime as dt
import itertools
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cityframe.errors import IntegrityError
from cityframe.products.signature import (
    KeyStatus,
    PublicKey,
    RevocationStatement,
    SignedStatement,
    SigningKey,
    TrustStore,
    sign_rotation,
)

AT = dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC)
ORDER = {KeyStatus.TRUSTED: 0, KeyStatus.REPLACED: 1, KeyStatus.REVOKED: 2}
PRIVATE = [SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in range(5)]
PUBLIC = [
    PublicKey(
        name=f"key {place}",
        id=key.id,
        public_key=base64.b64encode(key.public_bytes).decode(),
        created_at="2026-01-01T00:00:00Z",
    )
    for place, key in enumerate(PRIVATE)
]
RELEASES = (2, 4)
ROTATIONS = [
    sign_rotation(PRIVATE[old], PRIVATE[new], PUBLIC[new], release)
    for old, new in itertools.permutations(range(5), 2)
    for release in RELEASES
]
REVOCATIONS = [
    PRIVATE[by].sign(
        RevocationStatement(key=PRIVATE[key].id, reason=f"by {by}", from_release=release)
    )
    for by, key in itertools.product(range(5), repeat=2)
    for release in RELEASES
]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(ROTATIONS + REVOCATIONS), max_size=12))
def test_no_order_of_statements_gives_a_key_back_what_it_lost(
    statements: Sequence[SignedStatement],
) -> None:
    store = TrustStore().trust(PUBLIC[0], at=AT).trust(PUBLIC[1], at=AT)
    for statement in statements:
        before = store
        try:
            store = store.apply(statement, at=AT)
        except IntegrityError:
            continue
        for known in before.keys.values():
            now = store.keys[known.id]
            assert ORDER[now.status] >= ORDER[known.status]
            assert (now.from_release, now.role) == (known.from_release, known.role)
            if known.to_release is not None:
                assert now.to_release == known.to_release
            if known.revoked_from is not None:
                assert now.revoked_from is not None
                assert now.revoked_from <= known.revoked_from
    assert TrustStore(store.history) == store
