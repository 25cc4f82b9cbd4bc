"""The store: landed bytes, the framework with its releases, the ledger."""
