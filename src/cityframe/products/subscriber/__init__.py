"""The subscriber's side: packages applied to the subscriber's own GeoPackage or PostGIS.

Its tables are ordinary ones: `uid`, the attributes, a geometry, and columns of the subscriber's
own, which stay as they are. What is kept beside them, and what a receipt says, is specified in
``docs/formats/subscriber.md``.
"""

from cityframe.products.subscriber.comparison import LayerDifference, compare
from cityframe.products.subscriber.connect import open_session
from cityframe.products.subscriber.mapping import LayerMapping, SubscriberMapping
from cityframe.products.subscriber.recall import acknowledge
from cityframe.products.subscriber.receipt import Answer, receipt_of
from cityframe.products.subscriber.state import Subscription, read_state
from cityframe.products.subscriber.subscription import Outcome, apply, subscribe, undo

__all__ = [
    "Answer",
    "LayerDifference",
    "LayerMapping",
    "Outcome",
    "SubscriberMapping",
    "Subscription",
    "acknowledge",
    "apply",
    "compare",
    "open_session",
    "read_state",
    "receipt_of",
    "subscribe",
    "undo",
]
