"""Plain text out of tagged corpora: `迈向/v 充满/v 希望/n` becomes `迈向充满希望`.

The form is that of the People's Daily corpus of Peking University (Yu et al.
2002): words parted by spaces, each followed by a slash and its part of speech;
compounds in brackets with a tag of their own, `[中央/n 电视台/n]nt`.
"""

import re

_TOKEN = re.compile(r"^(?P<open>\[?)(?P<word>.+)/[A-Za-z]+(?:\](?:/?[A-Za-z]+)?)?$")


def without_tags(text: str) -> str:
    """Return the words of a tagged text, line by line.

    Words are joined without spaces, except where both neighbours are letters
    or digits of ASCII. What isn't of the form `word/tag` is kept as it stands.
    """
    return "\n".join(_line_without_tags(line) for line in text.splitlines())


def _line_without_tags(line: str) -> str:
    joined: list[str] = []
    for token in line.split():
        word = _word(token)
        if joined and _is_latin(joined[-1][-1]) and _is_latin(word[0]):
            joined.append(" ")
        joined.append(word)
    return "".join(joined)


def _word(token: str) -> str:
    found = _TOKEN.match(token)
    return found["word"] if found else token


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()
