"""Where a rule's pattern may match: every position that can begin a match, and few others.

Code points come in; out go rules and positions, found in one pass that decides
by a character and few around it. Looking at most of a text ends with one table
look-up for each character. A property test holds it to the patterns: a match
never begins where there is no candidate.
"""

import numpy as np

from lmtrain.text.kernels import kernel

API_KEY, EMAIL, IBAN, CHINESE_ID, CARD, IPV6, IPV4, PHONE, SPELLED = range(9)
"""Rules, by their place in `patterns.RULES`."""

WORD, DIGIT, HEX, LOCAL, GAP, SIGN, ANCHOR = (1 << bit for bit in range(7))
"""Bits of `CLASSES`."""

_GAP_CHARACTERS = "-. /()"
_KEYS = (
    *("AK.IA", "AS.IA", "AI.za", "ghp_.", "gho_.", "ghu_.", "ghs_.", "ghr_.", "github_.", "glpat-.", "hf_."),
    *("xox.", "xapp-.", "sk_.", "rk_.", "sk-.", "eyJ.", "-----B.", "npm_.", "pypi-."),
)
"""How API keys begin. The character before the dot is one that is rare, so that few places are looked at."""

_ANCHORS = [key.index(".") - 1 for key in _KEYS]
_ATS = ("at", "At", "aT", "AT")
"""What stands for an `@` in an address that is spelled out."""


def _classes() -> np.ndarray:
    table = np.zeros(128, dtype=np.uint8)
    anchors = {key[anchor] for key, anchor in zip(_KEYS, _ANCHORS, strict=True)} | {at[1] for at in _ATS}
    for point in range(128):
        character = chr(point)
        table[point] = (
            WORD * (character.isalnum() or character == "_")
            | DIGIT * character.isdigit()
            | HEX * (character in "0123456789abcdefABCDEF")
            | LOCAL * (character.isalnum() or character in "_!#$%&'*+/=?^`{|}~-")
            | GAP * (character in _GAP_CHARACTERS)
            | SIGN * (character.isdigit() or character in "@+(" or character in anchors)
            | ANCHOR * (character in anchors)
        )
    return table


CLASSES = _classes()
"""What an ASCII character may be part of, shape (128,)."""

_PREFIXES = np.array(
    [[ord(c) for c in key.replace(".", "").ljust(7, "\0")] for key in _KEYS], dtype=np.uint32
)
_OFFSETS = np.array(_ANCHORS, dtype=np.int64)
_PAIRS = np.zeros(1 << 14, dtype=np.bool_)
_PAIRS[[ord(key[at - 1]) | ord(key[at]) << 7 for key, at in zip(_KEYS, _ANCHORS, strict=True)]] = True
_PAIRS[[ord(at[0]) | ord(at[1]) << 7 for at in _ATS]] = True
_AT, _PLUS, _DOT, _COLON, _DASH, _SPACE = (ord(c) for c in "@+.:- ")
_ZERO, _ONE, _TWO, _THREE, _SIX, _EIGHT = (ord(c) for c in "012368")
_SMALL_T, _T, _SMALL_D, _D, _SMALL_O, _UNDERSCORE = (ord(c) for c in "tTdDo_")
_DIGITS_OF_CARD = 13
_SPELLED_LOCAL = 32
_SPELLED_LABEL = 31
_SPELLED_DOTS = 2
_DIGITS_OF_PHONE = 7


@kernel
def _is(points, place, bits):
    """Tell whether there is an ASCII character of a class at a place."""
    return 0 <= place < len(points) and points[place] < 128 and CLASSES[points[place]] & bits != 0


@kernel
def _at(points, place):
    return points[place] if 0 <= place < len(points) else np.uint32(0)


@kernel
def _is_letter_abroad(point):
    """Tell whether this is a Latin, Greek or Cyrillic letter, or a mark on one, beyond ASCII."""
    return 0xC0 <= point <= 0x52F and point != 0xD7 and point != 0xF7 and not 0x250 <= point < 0x300


@kernel
def _start_of_local_part(points, at):
    """Return where the part before an `@` begins, or -1: letters, signs, and dots that stand alone."""
    first, place = -1, at - 1
    while place >= 0:
        point = points[place]
        if point == _DOT:
            if points[place + 1] == _DOT:
                break
        elif _is(points, place, WORD) or _is_letter_abroad(point):
            first = place
        elif not _is(points, place, LOCAL):
            break
        place -= 1
    return first


@kernel
def _is_gap(points, place):
    point = _at(points, place)
    return _is(points, place, GAP) or point in (0xA0, 0x2011, 0x2013, 0x2014)


@kernel
def _digits_ahead(points, place):
    """Return how many digits follow with gaps of at most three characters, counted to a card's 13."""
    counted = gap = 0
    while gap <= 3 and counted < _DIGITS_OF_CARD:
        if _is(points, place, DIGIT):
            counted += 1
            gap = 0
        elif _is_gap(points, place):
            gap += 1
        else:
            break
        place += 1
    return counted


@kernel
def _has_prefix(points, start, row):
    for step in range(_PREFIXES.shape[1]):
        if _PREFIXES[row, step] and _at(points, start + step) != _PREFIXES[row, step]:
            return False
    return True


@kernel
def _start_of_key(points, anchor):
    """Return where a key begins whose rare character stands here, or -1."""
    for row in range(len(_PREFIXES)):
        start = anchor - _OFFSETS[row]
        if start >= 0 and points[anchor] == _PREFIXES[row, _OFFSETS[row]] and _has_prefix(points, start, row):
            return -1 if _is(points, start - 1, WORD) or _at(points, start - 1) == _DASH else start
    return -1


@kernel
def _begins_ipv4(points, place):
    """Tell whether four runs of one to three digits begin here, joined by dots."""
    for part in range(4):
        length = 0
        while length < 4 and _is(points, place + length, DIGIT):
            length += 1
        if length == 0 or length == 4:
            return False
        place += length
        if part < 3 and _at(points, place) != _DOT:
            return False
        place += 1
    return True


@kernel
def _begins_ipv6(points, place):
    """Tell whether a group of global unicast begins here: `2` or `3`, three more digits, a colon."""
    if points[place] != _TWO and points[place] != _THREE:
        return False
    for step in range(1, 4):
        if not _is(points, place + step, HEX):
            return False
    return _at(points, place + 4) == _COLON


@kernel
def _begins_phone(points, start, end):
    """Tell whether the digits from `start` to `end` may begin a telephone number of seven digits or more."""
    one, two = _is_gap(points, start - 1), _is_gap(points, start - 2)
    inside = one and (_is(points, start - 2, DIGIT) or (two and _is(points, start - 3, DIGIT)))
    if not inside:
        return True  # a word before it may say that it is one
    first, second, after = points[start], _at(points, start + 1), _at(points, end)
    length = end - start
    return (
        first == _ZERO
        or (first == _ONE and length in (1, 3, 11))
        or (first == _EIGHT and second == _SIX)
        or (length == 3 and after in (_DASH, _DOT))
    )


@kernel
def _rules_of_digits(points, start, end):
    """Return, as bits, the rules whose matches may begin with the digits from `start` to `end`."""
    length = end - start
    rules = 0
    if length <= 3 and _at(points, end) == _DOT and _begins_ipv4(points, start):
        rules |= 1 << IPV4
    if _begins_ipv6(points, start):
        rules |= 1 << IPV6
    after = _at(points, end)
    in_groups = after in (_SPACE, _DASH)
    if length in (15, 18) or (length == 17 and (after == 88 or after == 120)) or (length == 6 and in_groups):
        rules |= 1 << CHINESE_ID  # 88, 120: X, x
    ahead = _digits_ahead(points, start)
    if ahead >= _DIGITS_OF_PHONE and _begins_phone(points, start, end):
        rules |= 1 << PHONE
    behind = _is_gap(points, start - 1) and _is(points, start - 2, DIGIT)
    if ahead == _DIGITS_OF_CARD and length <= 19 and (not behind or length >= 4):
        rules |= 1 << CARD
    return rules


@kernel
def _begins_phone_with_sign(points, place):
    """Tell whether a `+` or `(` may begin a telephone number."""
    if not _is(points, place + 1, DIGIT):
        return False
    return points[place] == _PLUS or _digits_ahead(points, place + 1) >= _DIGITS_OF_PHONE


@kernel
def _is_iban_start(points, digits):
    """Tell whether two letters stand alone before these digits."""
    return (
        _is_letter(points, digits - 1)
        and _is_letter(points, digits - 2)
        and not _is(points, digits - 3, WORD)
        and _is(points, digits + 1, DIGIT)
    )


@kernel
def _is_letter(points, place):
    return 65 <= _at(points, place) & ~np.uint32(32) <= 90


@kernel
def _opens(point):
    return point in (40, 60, 91, 123, 0xFF08)  # ( < [ { and the wide (


@kernel
def _closes(point):
    return point in (41, 62, 93, 125, 0xFF09)


@kernel
def _before_at(points, start, end):
    """Return the place before an `at` from `start` to `end` that may stand for an `@`, or -1.

    It stands in brackets, or between spaces and before a word that a dot may follow.
    """
    left = start - 1 - (_at(points, start - 1) == _SPACE)
    right = end + (_at(points, end) == _SPACE)
    if left >= 0 and _opens(points[left]) and _closes(_at(points, right)):
        place = left - 1
        while place >= left - 2 and _at(points, place) == _SPACE:
            place -= 1
        return place
    if _at(points, start - 1) != _SPACE or _at(points, end) != _SPACE:
        return -1
    word = end + 1
    while word <= end + 1 + _SPELLED_LABEL and (_is(points, word, WORD) or _at(points, word) == _DASH):
        word += 1
    return start - 2 if _may_be_dot(points, word) else -1


@kernel
def _may_be_dot(points, place):
    """Tell whether `.x`, ` dot `, `(` or ` (` stands here."""
    if _at(points, place) == _SPACE:
        after = _at(points, place + 1)
        return _opens(after) or after == _SPACE or _is_dot_between(points, place + 5)
    here = _at(points, place)
    return _opens(here) or (here == _DOT and _is(points, place + 1, WORD))


@kernel
def _start_of_spelled(points, t):
    """Return where an address begins whose `at` ends with this `t`, or -1."""
    start = _start_of_name(points, _before_at(points, t - 1, t + 1))
    for _ in range(_SPELLED_DOTS):
        before = start
        if start > 0 and _is_dot_between(points, start):
            before = _start_of_name(points, start - 6)
        if before < 0:
            break
        start = before
    return start


@kernel
def _start_of_name(points, end):
    """Return where what may stand before an `@` begins that ends here, or -1."""
    place = end
    while end - place < _SPELLED_LOCAL and (
        _is(points, place, WORD) or _at(points, place) in (_PLUS, _DASH, _DOT)
    ):
        place -= 1
    first = place + 1
    goes_on = _is(points, place, WORD) or _at(points, place) in (_PLUS, _DASH, _DOT)
    alone = first <= end and not goes_on and _is(points, first, WORD)
    return first if alone and points[first] != _UNDERSCORE else -1


@kernel
def _is_dot_between(points, start):
    """Tell whether ` dot ` stands before this place, in capital or small letters."""
    return (
        _at(points, start - 1) == _SPACE
        and _at(points, start - 5) == _SPACE
        and _at(points, start - 4) | 32 == _SMALL_D
        and _at(points, start - 3) | 32 == _SMALL_O
        and _at(points, start - 2) | 32 == _SMALL_T
    )


@kernel
def _is_inside_word(points, place):
    """Tell whether the `t` of an `at` is one of a longer word: `that`, `atom`."""
    t = points[place] | 32 == _SMALL_T
    return t and (_is(points, place + 1, WORD) or _is(points, place - 2, WORD))


@kernel
def _next_sign(points, place):
    """Return the next place to look at: a digit, a sign, or a rare pair of characters of a key's prefix."""
    before = _at(points, place - 1)
    for here in range(place, len(points)):
        point = points[here]
        bits = CLASSES[point] if point < 128 else 0
        if bits & SIGN:
            if not bits & ANCHOR:
                return here
            if before < 128 and _PAIRS[before | point << 7] and not _is_inside_word(points, here):
                return here
        before = point
    return len(points)


@kernel
def _candidate(points, place):
    """Return the rules, as bits, that what stands here is a candidate of; where it begins; where to go on."""
    point = points[place]
    if _is(points, place, DIGIT):
        end = place + 1
        while _is(points, end, DIGIT):
            end += 1
        if not _is(points, place - 1, WORD):
            return _rules_of_digits(points, place, end), place, end
        return (1 << IBAN if _is_iban_start(points, place) else 0), place - 2, end
    if point in (_SMALL_T, _T):
        start = _start_of_spelled(points, place)
        return (1 << SPELLED if start >= 0 else 0), start, place + 1
    if point == _AT or _is(points, place, ANCHOR):
        start = _start_of_local_part(points, place) if point == _AT else _start_of_key(points, place)
        rule = EMAIL if point == _AT else API_KEY
        return (1 << rule if start >= 0 else 0), start, place + 1
    return (1 << PHONE if _begins_phone_with_sign(points, place) else 0), place, place + 1


@kernel
def _fill(points, rules, places):
    """Write candidates as far as there is room; return how many there are."""
    found = 0
    place = _next_sign(points, 0)
    while place < len(points):
        bits, start, end = _candidate(points, place)
        rule = 0
        while bits:
            if bits & 1:
                if found < len(rules):
                    rules[found], places[found] = rule, start
                found += 1
            bits >>= 1
            rule += 1
        place = _next_sign(points, end)
    return found


@kernel
def candidates(points):
    """Find where matches may begin.

    Args:
        points: code points of a text, shape (characters,), uint32.

    Returns:
        Rules, uint8, and positions, int64, both of shape (candidates,).
        Positions of one rule ascend.
    """
    room = 64 + len(points) // 64
    rules = np.empty(room, dtype=np.uint8)
    places = np.empty(room, dtype=np.int64)
    found = _fill(points, rules, places)
    if found > room:
        rules = np.empty(found, dtype=np.uint8)
        places = np.empty(found, dtype=np.int64)
        _fill(points, rules, places)
    return rules[:found], places[:found]
