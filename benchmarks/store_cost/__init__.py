"""What the store costs, row by row; `benchmarks/store.py` is the command."""
