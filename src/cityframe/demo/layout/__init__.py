"""Where things stand: street grid, block templates, districts, names."""
