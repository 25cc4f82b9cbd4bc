"""Migrations of a store's layout; `cityframe.store.layout` runs them."""
