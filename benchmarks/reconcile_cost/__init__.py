"""Cases of the cost table of reconciliation."""
