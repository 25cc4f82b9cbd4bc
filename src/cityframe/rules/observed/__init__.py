"""Series of observations: streams, flags and runs of them."""
