"""Numbers as people read them: a few digits, a unit, and a sign where it matters.

Numbers in, short strings out; the page, its figures and its graph all use these,
so that one number never stands on the page in two forms.
"""

import math

BYTE_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
COUNT_UNITS = ("", " k", " M", " B", " T")
SECONDS_IN_MINUTE = 60
SECONDS_IN_HOUR = 3600

MINUS = "−"


def count(number: float) -> str:
    """Return a whole number with its thousands marked, `92,692`."""
    return f"{round(number):,}"


def compact(number: float) -> str:
    """Return a number in three digits, `2.62 M`."""
    return _scaled(number, COUNT_UNITS)


def size(number: float) -> str:
    """Return bytes in decimal units, `14.2 MB`."""
    if number < 1000:
        return f"{round(number)} bytes"
    return _scaled(number, tuple(f" {unit}" for unit in BYTE_UNITS))


def _scaled(number: float, units: tuple[str, ...]) -> str:
    if abs(number) < 1000:
        return f"{number:,.0f}{units[0]}" if number == round(number) else f"{number:.3g}{units[0]}"
    power = min(int(math.log10(abs(number)) / 3), len(units) - 1)
    digits = f"{number / 1000**power:.3g}"
    if digits == "1e+03":  # 999,999 rounds up into the next unit
        power, digits = min(power + 1, len(units) - 1), "1"
    return f"{digits}{units[power]}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units, `3 min 20 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < SECONDS_IN_MINUTE:
        return f"{whole} s"
    if whole < SECONDS_IN_HOUR:
        return f"{whole // SECONDS_IN_MINUTE} min {whole % SECONDS_IN_MINUTE} s"
    return f"{whole // SECONDS_IN_HOUR} h {whole % SECONDS_IN_HOUR // SECONDS_IN_MINUTE} min"


def share(part: float, whole: float) -> str:
    """Return a part of a whole in percent, `12.3 %`; a part too small to show isn't told as nothing."""
    if not whole or not part:
        return "0 %"
    percent = 100 * part / whole
    if percent < 0.05:
        return "< 0.1 %"
    return "100 %" if part == whole else f"{min(percent, 99.9):.1f} %"


def score(value: float, scale: float | None = None) -> str:
    """Return a score to as many digits as its scale deserves.

    Args:
        value: the score or an end of its interval.
        scale: the number that decides how many digits; the value itself if None.
    """
    return f"{value:.{_decimals(value if scale is None else scale)}f}".replace("-", MINUS)


def signed(value: float, scale: float | None = None) -> str:
    """Return a difference with its sign, `+0.031`; what rounds to zero has none."""
    digits = _decimals(value if scale is None else scale)
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def _decimals(value: float) -> int:
    return 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1


def plural(number: float, noun: str, nouns: str | None = None) -> str:
    """Return a number with its noun, `1 step` or `600 steps`."""
    return f"{count(number)} {noun if round(number) == 1 else nouns or noun + 's'}"


def words(name: str) -> str:
    """Return an identifier as words, `too_few_stop_words` → `too few stop words`."""
    return name.replace("_", " ").strip()


def joined(parts: list[str]) -> str:
    """Return parts as a list in a sentence, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def excerpt(text: str, limit: int) -> str:
    """Return the beginning of a text, cut at a space where there is one near the limit."""
    text = text.strip()
    if len(text) <= limit:
        return text
    cut = text[: limit + 1]
    space = max(cut.rfind(" "), cut.rfind("\n"))
    return cut[: space if space > 0.8 * limit else limit].rstrip() + " …"


CJK_SHARE = 0.1


def language_tag(text: str) -> str | None:
    """Return `zh-Hans` for text with Chinese in it, so that a browser picks its glyphs; else None."""
    sample = text[:2000]
    ideographs = sum("\u4e00" <= letter <= "\u9fff" for letter in sample)
    return "zh-Hans" if ideographs > CJK_SHARE * len(sample) else None


SYSTEM_NAMES = {
    "model": "this model",
    "pretrained": "pretrained, then fine-tuned",
    "random": "fine-tuned from random weights",
    "bigram": "bigram model",
    "xz": "xz compression",
    "majority": "majority class",
    "tfidf": "TF-IDF with logistic regression",
    "first_sentence": "first sentence",
}


STARTS_OF_SEVERAL = {"pretrained": "", "random": ", from random weights"}


def system_name(system: str) -> str:
    """Return a system's name in words; static vectors keep the name that the recipe gave them.

    That of a fine-tuning for several tasks has its start behind it.
    """
    if system.startswith(STATIC_VECTORS):
        return system
    name, _, start = system.rpartition("-")
    if name and start in STARTS_OF_SEVERAL:
        return f"model “{name}” for several tasks{STARTS_OF_SEVERAL[start]}"
    return SYSTEM_NAMES.get(system, words(system))


PROPER_NAMES = ("tfidf", "xz")

STATIC_VECTORS = ("word2vec-", "fasttext-", "glove-")
"""How labels of static vectors begin: each goes by its own name."""


def system_in_a_sentence(system: str) -> str:
    """Return a system's name with its article, `the majority class`."""
    proper = system in PROPER_NAMES or system.startswith(STATIC_VECTORS)
    return system_name(system) if proper else f"the {system_name(system)}"
