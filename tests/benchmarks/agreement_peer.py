"""datatrove's side of `agreement.py`, run by the Python of its own environment: its filters, our words.

In, a line each on standard input: `{"forms": {name: {"filter", "options"}},
"language", "segmenter", "texts"}`. Out, a line of JSON for each: `verdicts`, by
form the reason why each text is dropped, null where it is kept, or `raised` and
the error's name; `rewritten`, by form the texts that C4 leaves.
"""

import warnings

from answering import answer_requests
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4ParagraphFilter,
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.word_tokenizers import WordTokenizer, simple_span_tokenize
from loguru import logger

from lmtrain.text.segmentation import sentences, words

FILTERS = {
    "gopher_quality": GopherQualityFilter,
    "gopher_repetition": GopherRepetitionFilter,
    "fineweb": FineWebQualityFilter,
    "c4": C4QualityFilter,
    "mc4": C4ParagraphFilter,
}


class OurWords(WordTokenizer):
    """Cuts words and sentences by the public functions of `lmtrain.text.segmentation`."""

    def __init__(self, language, segmenter):
        super().__init__(language)
        self.segmenter = segmenter

    def word_tokenize(self, text):
        return words(text, self.language, self.segmenter)

    def sent_tokenize(self, text):
        return sentences(text, self.language)

    def span_tokenize(self, text):
        return list(simple_span_tokenize(text, self.sent_tokenize(text)))


def judge(form, text):
    """Return why a filter drops a text, None where it is kept, and the text that it leaves."""
    document = Document(text, "")
    try:
        verdict = form.filter(document)
    except Exception as error:  # noqa: BLE001 - whatever it is, there is no verdict to compare
        return f"raised {type(error).__name__}", text
    if isinstance(verdict, tuple):
        return (None if verdict[0] else str(verdict[1])), document.text
    return (None if verdict else ""), document.text


def answer(request):
    """Judge all texts by all forms."""
    cut = OurWords(request["language"], request["segmenter"])
    found = {"verdicts": {}, "rewritten": {}}
    forms = {}
    for name, form in request["forms"].items():
        language = {} if form["filter"] == "mc4" else {"language": cut}
        forms[name] = FILTERS[form["filter"]](**language, **form["options"])
    for text in request["texts"]:  # text by text: the peer remembers the words of the last few
        for name, form in forms.items():
            reason, left = judge(form, text)
            found["verdicts"].setdefault(name, []).append(reason)
            found["rewritten"].setdefault(name, []).append(None if left == text else left)
    return found


def main():
    """Answer until the input ends."""
    logger.disable("datatrove")
    warnings.simplefilter("ignore")
    answer_requests(answer)


if __name__ == "__main__":
    main()
