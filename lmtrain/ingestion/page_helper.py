"""The text of web pages, in a process of its own: `python -m lmtrain.ingestion.page_helper`.

In, again and again: a header (extractor, main content or all, seconds, and the
sizes of what follows), the charset that the server named, and the page. Out: a
state, a size, and the text or what went wrong.

A page that takes longer than its seconds ends this process: a timer of the
kernel does, because neither lxml nor a regular expression listens to anything
else. `pages` starts a new one.
"""

import logging
import re
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO

from lmtrain.ingestion.encodings import marked_encoding

logger = logging.getLogger(__name__)

REQUEST = struct.Struct("<B?dII")
"""Place in EXTRACTORS, main content alone, seconds, bytes of the charset's name, bytes of the page."""
REPLY = struct.Struct("<BI")
"""Place in STATES, bytes of the text or message."""
STATES = ("text", "undecodable", "extraction_failed")
WALL_FACTOR = 10
"""Seconds are those of the processor, so that a busy machine rejects nothing; so many times as long
ends a page by the clock on the wall."""
MAX_REPLACED = 0.05
"""Share of characters that stand for bytes which aren't of the page's encoding: above, it is no text."""
PAGES_BETWEEN_CLEANINGS = 1000
SHORT_CHARACTERS = 200


LEAST_UTF8 = 16
"""So many bytes beyond ASCII that are UTF-8 throughout are it by no chance; two characters in GBK may be."""
BEYOND_ASCII = bytes(range(128, 256))
LATIN_1 = "cp1252"
"""What Python calls that which the WHATWG takes for Latin-1."""
_META = re.compile(rb"""<meta\s[^>]{0,300}?charset\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)
META_BYTES = 4096
"""Within so many bytes a page says its encoding; browsers look at 1,024."""


def decoded(page: bytes, charset: str) -> str:
    """Return a page as text.

    By its byte order mark; as UTF-8 where it is nothing else; by the server's charset, by its own, and
    by a guess, the first of them that fits. Where the server says Latin-1, as many do of whatever they
    have, the page's own comes first. Names mean what the WHATWG Encoding Standard says: gb2312 is GBK.

    Raises:
        UnicodeError: with each of them more than MAX_REPLACED of it isn't of that encoding.
    """
    tried = dict.fromkeys(_encodings(page, charset))
    for encoding in tried:
        text = page.decode(encoding, errors="replace").removeprefix("\ufeff")
        if text.count("\ufffd") <= MAX_REPLACED * len(text) and "\0" not in text:
            return text
    raise UnicodeError(f"it isn't text in {' or '.join(tried)}")


def _encodings(page: bytes, charset: str) -> Iterator[str]:
    from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

    marked = marked_encoding(page)
    if marked:
        yield marked
        return
    if _is_utf8(page):
        yield "utf-8"
    named = map_encoding_to_html5(charset, fallback_utf8=False) if charset else None
    found = _META.search(page, 0, META_BYTES)
    own = map_encoding_to_html5(found[1].decode(), fallback_utf8=False) if found else None
    if own and own.startswith("utf-16"):
        own = None  # it stands there in ASCII
    for name in (own, named) if named == LATIN_1 else (named, own):
        if name:
            yield _widest(name)
    yield _widest(detect_encoding(page, from_html_meta=False) or "utf-8")


def _widest(name: str) -> str:
    """Return gb18030 for GBK: it holds it, and is what browsers read."""
    return "gb18030" if name == "gbk" else name


def _is_utf8(page: bytes) -> bool:
    if len(page) - len(page.translate(None, BEYOND_ASCII)) < LEAST_UTF8:
        return False
    try:
        page.decode()
    except UnicodeDecodeError:
        return False
    return True


def _by_trafilatura(page: str, main_content: bool) -> str:
    import trafilatura

    if not main_content:
        return trafilatura.html2txt(page)
    return trafilatura.extract(page, fast=True, include_comments=False) or ""


def _by_resiliparse(page: str, main_content: bool) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    text = ""
    if main_content:
        text = extract_plain_text(
            page, main_content=True, alt_texts=False, list_bullets=False, comments=False
        )
    if (
        len(text) < SHORT_CHARACTERS
    ):  # it takes some articles for menus: three of 20 Chinese pages gave nothing
        text = extract_plain_text(page, alt_texts=False)
    return text


EXTRACTORS: dict[str, Callable[[str, bool], str]] = {
    "trafilatura": _by_trafilatura,
    "resiliparse": _by_resiliparse,
}


def _answer(extractor: str, main_content: bool, charset: str, page: bytes) -> tuple[int, str]:
    try:
        text = EXTRACTORS[extractor](decoded(page, charset), main_content)
    except (UnicodeError, LookupError) as error:
        return STATES.index("undecodable"), str(error)
    except Exception as error:  # parsers of foreign pages raise whatever they like
        logger.exception("a page of %d bytes can't be read by %s", len(page), extractor)
        return STATES.index("extraction_failed"), f"{type(error).__name__}: {error}"
    return STATES.index("text"), text


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests until there are no more."""
    served = 0
    while header := requests.read(REQUEST.size):
        extractor, main_content, seconds, charset_bytes, page_bytes = REQUEST.unpack(header)
        charset = requests.read(charset_bytes).decode()
        page = requests.read(page_bytes)
        _limit(seconds)
        state, text = _answer(list(EXTRACTORS)[extractor], main_content, charset, page)
        _limit(0)
        content = text.encode(errors="replace")
        replies.write(REPLY.pack(state, len(content)) + content)
        replies.flush()
        served += 1
        if served % PAGES_BETWEEN_CLEANINGS == 0:
            _clean()


def _limit(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WALL_FACTOR * seconds)


def _clean() -> None:
    """Empty the caches that trafilatura fills as it reads."""
    meta = sys.modules.get("trafilatura.meta")
    if meta:
        meta.reset_caches()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's, whose end is the end of requests
    serve(sys.stdin.buffer, sys.stdout.buffer)
