"""Peers' side of `minhash.py`, run by the Python of their own environment: gaoya, rensa or datatrove.

In, a line each on standard input: `{"do": "setup", ...}` with documents and which
peer, then `{"do": "sign"}` as often as wanted. Out: one line of JSON for each,
with the seconds that it took.
"""

from importlib import metadata

from answering import answer_requests, timed

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


class Signer:
    """What answers: the signer and the texts that it was set up with."""

    def __init__(self):
        self.sign, self.texts = None, []

    def answer(self, request):
        """Do what is asked; return the answer."""
        if request["do"] == "setup":
            self.sign, self.texts = PEERS[request["peer"]](request["language"]), request["texts"]
            return {"version": metadata.version(request["peer"])}
        return timed(lambda: [self.sign(self.texts) for _ in range(request["passes"])])


def main():
    """Answer until the input ends."""
    answer_requests(Signer().answer)


if __name__ == "__main__":
    main()
