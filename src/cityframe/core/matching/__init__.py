"""Which of two sets of records speak of the same feature: one module a kind of evidence."""
