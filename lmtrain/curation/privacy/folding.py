"""Wide characters of Chinese text, with which numbers and addresses are written too, as ASCII's.

Texts come in and go out in the same length, so that what is found in the one
stands at the same place in the other.
"""

import re

import numpy as np

from lmtrain.text.kernels import kernel

_TO_ASCII = {
    **{0xFEE0 + ord(c): c for c in map(chr, range(0x30, 0x7B)) if c.isalnum()},
    **{0xFEE0 + ord(c): c for c in "@.-+_"},
}
_AREA_CODE = re.compile("\uff08(\\+?86|0[1-9][0-9]{1,2})\uff09")


def folded(text: str, points: np.ndarray) -> str:
    """Return a text with what stands for ASCII's characters in Chinese text as those, of the same length.

    Wide digits, letters, `＠．－＋＿`, and the wide brackets of an area code. Other
    wide punctuation ends a number and stays.

    Args:
        text: any string.
        points: `code_points(text)`.
    """
    if text.isascii() or not has_wide(points):
        return text
    return _AREA_CODE.sub(r"(\1)", text.translate(_TO_ASCII))


@kernel
def has_wide(points):
    """Tell whether a wide letter, digit or `＠` is among code points, or a wide bracket of an area code."""
    for place in range(len(points)):
        point = points[place]
        if 0xFF10 <= point <= 0xFF5A:
            if point <= 0xFF19 or 0xFF20 <= point <= 0xFF3A or point >= 0xFF41:
                return True
        elif point == 0xFF08 and place + 1 < len(points):
            after = points[place + 1]
            # An area or country code: 0, +, the wide +, 86. `（1）` numbers a list, and is common.
            eighty_six = after == 56 and place + 2 < len(points) and points[place + 2] == 54
            if after == 48 or after == 43 or after == 0xFF0B or eighty_six:
                return True
    return False
