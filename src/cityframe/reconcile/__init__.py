"""Reconcile deliveries with the framework: match, classify, guard."""

from cityframe.reconcile.current import CurrentLayer, FrameLayer, compose
from cityframe.reconcile.net import changes_in_order, net_changes
from cityframe.reconcile.reconciliation import Reconciled, reconcile
from cityframe.reconcile.setting import Setting

__all__ = [
    "CurrentLayer",
    "FrameLayer",
    "Reconciled",
    "Setting",
    "changes_in_order",
    "compose",
    "net_changes",
    "reconcile",
]
