"""One hash by which texts are equal: of curation's exact copies, and of removal lists."""

import xxhash

from lmtrain.text.similarity import normalized


def text_hash(text: str) -> bytes:
    """Return 16 bytes that are equal for texts that differ in case, spacing or width of characters only.

    They are the 128-bit XXH3 hash (big-endian, as `xxhsum -H128` prints it) of the
    text's UTF-8 once it is in Unicode's NFKC form, in lower case, without spaces
    around it, and with one space for each run of white space within.
    """
    return xxhash.xxh3_128_digest(" ".join(normalized(text).split()).encode())
