"""What a general compressor needs for the test documents: xz, which never saw the training text.

The documents are joined, each closed by a zero byte as it is by the end token
for a language model, and compressed as one stream. A document is charged with
the compressed bytes that a decoder has to read until it has written the
document, beyond those that it had to read for the documents before. So the
charges add up to the size of the stream, and can be resampled.
"""

import lzma
from collections.abc import Sequence

import numpy as np

PRESET = 9 | lzma.PRESET_EXTREME
END = b"\0"


def xz_bytes(texts: Sequence[str]) -> np.ndarray:
    """Return the compressed bytes that each text is charged with; they add up to the stream's.

    Args:
        texts: in the order in which they are compressed.

    Returns:
        Shape (texts,), integers.
    """
    parts = [text.encode() + END for text in texts]
    stream = lzma.compress(b"".join(parts), format=lzma.FORMAT_XZ, check=lzma.CHECK_NONE, preset=PRESET)
    written = _written_after_each_byte(stream)
    ends = np.cumsum([len(part) for part in parts])
    read = np.searchsorted(written, ends) + 1  # the least number of bytes with which all is there
    read[-1:] = len(stream)  # the last document bears the stream's index and footer
    return np.diff(read, prepend=0)


def _written_after_each_byte(stream: bytes) -> np.ndarray:
    """Return how many bytes a decoder has written once it has read byte i, shape (bytes of the stream,)."""
    decoder = lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
    sizes = [len(decoder.decompress(stream[index : index + 1])) for index in range(len(stream))]
    return np.cumsum(sizes)
