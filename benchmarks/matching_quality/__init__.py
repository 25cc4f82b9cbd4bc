"""How well matching finds what people or keys say: one module a kind of data."""
