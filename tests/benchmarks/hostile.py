"""Texts that filters may stumble over, made from pieces that each are a corner of some definition.

Every text is drawn by its number alone, so that a disagreement can be made again.
"""

import random

ENGLISH = [
    *("the", "cat", "sat", "on", "a", "mat", "and", "that", "was", "to", "be", "with", "him.", "have", "you"),
    *("seen", "of", "it?", "don't", "numpy.array", "Hello", "World", "e.g.", "Mr.", "Smith", "i.e.", "it's"),
    *(
        "naïve",
        "ﬁne",
        "x",
        "42",
        "3.14",
        "1,000",
        "U.S.A.",
        "state-of-the-art",
        "http://a.b/c?d=e",
        "f@b.com",
    ),
]
CHINESE = [
    *"的年在月是和日了于为有被人中他与后也而由天地玄黄，！？、",
    *("开始", "测试", "我们", "今天天气很好。"),
]
OTHERS = [
    *"のにをはたてがとですカタカナ漢字ー。",
    *("한국어", "안녕하세요.", "العربية", "مرحبا؟", "हिन्दी।", "שלום", "Ελληνικά", "Σ", "İstanbul", "русский"),
]
SIGNS = [
    *("...", "…", "……", "....", "..", "#", "##", "•", "-", "--", "—", "–", "·", "|", "*", "(", ")", "[", "]"),
    *("{", "}", "「", "」", '"', "'", "’", "”", "_", "\u200b", "\u00ad", "\ufeff", "\u0301", "e\u0301", "😀"),
    *("👩\u200d👩\u200d👧", "\U000f0000", "\ufffd", "\x00", "\x1b", "①", "½", "\u212a", "ſ", "٣", "１２３"),
]
SPACES = [" ", " ", " ", " ", " ", "  ", "\t", "\u00a0", "\u3000", "\u2009", "\u202f", "\x1f", ""]
BREAKS = [
    *("\n", "\n", "\n", "\n", "\n\n", "\n\n\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85"),
    *("\u2028", "\u2029", " \n", "\n ", "\n- ", "\n• ", "\n•", "...\n", "…\n", ".\n", "。\n", "\n \n"),
]
PHRASES = [
    *("[1]", "[12]", "[]", "[1", "[edit]", "[Edit]", "[citation needed]", "[٣]", "[[1]2]", "lorem ipsum"),
    *("Lorem  ipsum", "LOREM IPSUM dolor", "javascript", "JavaScrıpt", "Please enable JavaScript."),
    *("privacy policy", "Terms of Use", "uses coo\u212aies", "use of\ncookies", "use cookies"),
    *("a" * 1000, "b" * 1001, "字" * 1001),
    *("The quick brown fox jumps over the lazy dog.", "To be, or not to be, that is the question."),
    'He said: "It is with them that we have to be."',
    *("学而时习之，不亦说乎？有朋自远方来，不亦乐乎？", "在这个年月里，他是最后的人。"),
]
WHOLE = ["", " ", "\n", "\n\n", "\x85", "\u3000", "\u200b", "\x00", *".…#-•的a{", "...", "[1]"]
"""Texts that are hardly any."""

ODD, PHRASE, END = (0, 0.02, 0.1, 0.4), (0, 0.02, 0.1), (0.02, 0.1, 0.3)
"""Shares of signs and phrases among pieces, and of line breaks among what parts them."""


def hostile(number: int) -> str:
    """Return one text.

    Args:
        number: of the text; the same number gives the same text.
    """
    drawn = random.Random(number)
    if drawn.random() < 0.01:
        return drawn.choice(WHOLE)
    words = drawn.choice([ENGLISH, ENGLISH, ENGLISH, CHINESE, CHINESE, OTHERS, ENGLISH + CHINESE + OTHERS])
    if drawn.random() < 0.3:  # few words: much repeats
        words = drawn.sample(words, drawn.randint(1, 6))
    spaces = drawn.choice([SPACES, [" "], ["", "", " "]])
    breaks = drawn.choice([["\n"], BREAKS, BREAKS])
    odd, phrase, end = (drawn.choice(shares) for shares in (ODD, PHRASE, END))
    pieces = []
    for _ in range(drawn.choice([1, 5, 20, 60, 150, 400])):
        kind = drawn.random()
        found = SIGNS if kind < odd else PHRASES if kind < odd + phrase else words
        pieces += [drawn.choice(found), drawn.choice(breaks if drawn.random() < end else spaces)]
    text = "".join(pieces)
    if drawn.random() < 0.2:
        text += drawn.choice(["", "\n", "\n\n", " "]) + text[: drawn.randrange(len(text) + 1)]
    return text
