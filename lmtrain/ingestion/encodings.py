"""Text of other encodings as UTF-8, which is what readers of text, tables of text and JSON read.

Bytes that aren't of the encoding become bytes that aren't UTF-8 either: only the record in which they
stand is refused.
"""

import codecs
import io
from typing import IO, Any, cast

BLOCK = 1 << 20
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
WHOLE_FILES = frozenset({"jsonl", "json", "csv", "tsv", "text"})
"""Forms of `forms.FORMS` that are text and don't say what encoding they have."""


def marked_encoding(head: bytes) -> str | None:
    """Return the encoding that the byte order mark at the beginning of a text stands for."""
    return next((name for mark, name in MARKS if head.startswith(mark)), None)


def encoding_of(stream: io.BufferedReader, named: str | None) -> str:
    """Return the encoding of a text: that of its byte order mark, else what it is said to be, else UTF-8."""
    return marked_encoding(stream.peek(4)) or named or "utf-8"


def as_utf8(stream: io.BufferedReader, named: str | None) -> IO[bytes]:
    """Return a stream as UTF-8: itself, where it is already.

    Args:
        stream: at the beginning of the file.
        named: the encoding of files without a byte order mark; None: UTF-8.
    """
    encoding = encoding_of(stream, named)
    if codecs.lookup(encoding).name == "utf-8":
        return stream
    return cast(IO[bytes], io.BufferedReader(_Recoded(stream, encoding), BLOCK))


class _Recoded(io.RawIOBase):
    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        super().__init__()
        self.stream = stream
        wide = encoding.startswith(("utf-16", "utf-32"))
        self.decoder = codecs.getincrementaldecoder(encoding)("surrogatepass" if wide else "surrogateescape")
        self._output = b""
        self._begun = self._ended = False

    def readable(self) -> bool:
        """Tell that it is: io.BufferedReader asks."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the next characters go; return their bytes.

        Raises:
            OSError: the file ends within a character, or isn't of its encoding at all.
        """
        while not self._output and not self._ended:
            block = self.stream.read(BLOCK)
            self._ended = not block
            try:
                text = self.decoder.decode(block, self._ended)
            except UnicodeDecodeError as error:
                raise OSError(str(error)) from error
            if text and not self._begun:
                text, self._begun = text.removeprefix("\ufeff"), True
            self._output = text.encode(errors="surrogatepass")
        data, self._output = self._output[: len(buffer)], self._output[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
