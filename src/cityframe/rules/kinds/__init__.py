"""The built-in rule kinds: one file each, with the module attribute ``KIND``."""
