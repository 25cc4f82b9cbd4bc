"""Types of arrays that the generator works with."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Geometries = npt.NDArray[np.object_]
Values = npt.NDArray[np.object_]
Days = npt.NDArray[np.datetime64]
