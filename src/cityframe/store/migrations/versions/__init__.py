"""One module a layout; what it needs of its time stands in it, frozen."""
