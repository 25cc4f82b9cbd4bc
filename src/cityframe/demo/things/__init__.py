"""The features of a stretch of the city as they are when it begins.

Each table holds the layer's attributes, ``geometry`` (shapely, in the plan's CRS), and columns of
the generator: ``is_alive`` (false for what is not there yet or no longer), ``touched`` (the
delivery that last changed the row), and positions of related rows.
"""
