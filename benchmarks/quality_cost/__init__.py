"""What the rules cost, beside the bare calls that they are made of."""
