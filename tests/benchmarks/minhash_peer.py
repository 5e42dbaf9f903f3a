"""Peers' side of `minhash.py`, run by the Python of their own environment: gaoya, rensa or datatrove.

In, a line each on standard input: `{"do": "setup", ...}` with documents and which
peer, then `{"do": "sign"}` as often as wanted. Out: one line of JSON for each,
with the seconds that it took.
"""

import contextlib
import json
import sys
import time
from importlib import metadata

PERMUTATIONS, BANDS, ROWS, WORDS = 112, 14, 8, 5


def gaoya(language):
    """Return what makes gaoya's signatures: its own shingles, 64 bits, one thread."""
    from gaoya.minhash import MinHashStringIndex

    units = "word" if language == "en" else "char"
    return MinHashStringIndex(
        64, 0.8, BANDS, ROWS, None, units, True, (WORDS, WORDS)
    ).minhash_index.bulk_hash_docs


def rensa(language):
    """Return what makes rensa's: 32 bits, from n-grams that Python joins."""
    from rensa import RMinHash

    def sign(texts):
        grams = []
        for text in texts:
            units = text.lower().split() if language == "en" else "".join(text.lower().split())
            glue = " " if language == "en" else ""
            grams.append([glue.join(units[at : at + WORDS]) for at in range(len(units) - WORDS + 1)])
        return RMinHash.digest_matrix_from_token_sets(grams, PERMUTATIONS, 42)

    return sign


def datatrove(language):
    """Return what makes datatrove's: its words and normal form, 64 bits."""
    from datatrove.pipeline.dedup.minhash import MinhashDedupSignature

    step = MinhashDedupSignature("/dev/shm", language="en" if language == "en" else "cmn_Hani")

    def sign(texts):
        for text in texts:
            shingles = step.get_shingles(text)
            if shingles.size:
                step.get_signature(shingles)

    return sign


PEERS = {"gaoya": gaoya, "rensa": rensa, "datatrove": datatrove}


def main():
    """Answer until the input ends."""
    sign, texts = None, []
    for line in sys.stdin:
        request = json.loads(line)
        with contextlib.redirect_stdout(sys.stderr):  # what a library prints is no answer
            if request["do"] == "setup":
                sign, texts = PEERS[request["peer"]](request["language"]), request["texts"]
                found = {"version": metadata.version(request["peer"])}
            else:
                clock, processor = time.perf_counter(), time.process_time()
                for _ in range(request["passes"]):
                    sign(texts)
                spent = time.perf_counter() - clock, time.process_time() - processor
                found = {"wall": spent[0], "processor": spent[1]}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
