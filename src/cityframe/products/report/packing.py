"""Parts of the page's data, packed: JSON, deflated, in base64.

The browser skips over such a part while it paints and unpacks it when it is needed.
"""

import base64
import json
import zlib
from typing import Any

_LEVEL = 6  # a higher one takes twice the time for two hundredths of the size


def packed(content: Any) -> str:
    """Return plain data as it stands in the page; equal data gives equal text.

    Raises
    ------
    ValueError
        If a number is not finite: JSON has none such.
    """
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), _LEVEL)).decode()


def unpacked(text: str) -> Any:
    """Return the plain data of a packed part."""
    return json.loads(zlib.decompress(base64.b64decode(text)))
