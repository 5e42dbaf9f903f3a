"""Statistics of generated texts against references: BLEU, chrF and ROUGE.

In come texts, out come sums-to-be (see `lmtrain.metrics`): n-gram counts by
sacrebleu, F measures by rouge-score. English goes through BLEU's 13a tokenizer
and Chinese through `zh`: 13a sees a Chinese sentence as one word, and gives 0.
Japanese and Korean go by characters (`char`): MeCab would have to be installed
with its dictionaries, and a Korean word carries its particles with it.
"""

import re
from collections.abc import Sequence
from importlib import metadata

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer as RougeTokenizer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from lmtrain.evaluation.answers import BY_CHARACTERS, answer_scores
from lmtrain.metrics import BLEU_ORDER, CHRF_ORDER, ROUGE_COLUMNS, TEXT_STATISTICS
from lmtrain.text.segmentation import sentences

BLEU_TOKENIZERS = {"zh": "zh", "ja": "char", "ko": "char"}
"""sacrebleu's tokenizer of a language; 13a for all others."""

CHARACTERS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""Han characters and kana, for a character class."""

HANGUL = "\uac00-\ud7a3"

WORD_OR_CHARACTER = re.compile(f"[a-z0-9]+|[{CHARACTERS}]")
"""Words as rouge-score's default has them, and each Chinese character or kana, which it would throw away."""

WORD_CHARACTER_OR_SYLLABLE = re.compile(f"[a-z0-9]+|[{CHARACTERS}{HANGUL}]")
"""The same with each Hangul syllable, for Korean."""


class WordsAndCharacters(RougeTokenizer):
    """Tokens for ROUGE: on English exactly the default's; Chinese, Japanese and Korean are kept."""

    def __init__(self, language: str) -> None:
        self._pattern = WORD_CHARACTER_OR_SYLLABLE if language == "ko" else WORD_OR_CHARACTER

    def tokenize(self, text: str) -> list[str]:
        """Return lower-case words and single characters; the rest separates."""
        return self._pattern.findall(text.lower())


def statistics_of_texts(
    predictions: Sequence[str], references: Sequence[Sequence[str]], language: str
) -> np.ndarray:
    """Return the statistics of each text, shape (texts, TEXT_STATISTICS).

    Args:
        predictions: what was written.
        references: what is right, one or several for each: BLEU takes n-grams of any and the length of
            the nearest, as Papineni et al. (2002) do; of all others the best counts.
        language: of the texts.
    """
    rouge = RougeScorer([*ROUGE_COLUMNS], tokenizer=WordsAndCharacters(language), split_summaries=False)
    bleu, chrf = _bleu(language), CHRF()
    rows = np.zeros((len(predictions), TEXT_STATISTICS))
    for row, (prediction, known) in enumerate(zip(predictions, references, strict=True)):
        # ROUGE-Lsum goes by lines: each sentence on its own, as Chinese ones have no spaces to split at.
        *targets, ours = ["\n".join(sentences(text, language)) for text in (*known, prediction)]
        f_measures = rouge.score_multi(targets, ours)
        streams = [[one] for one in known]
        rows[row] = [
            1,
            *bleu._extract_corpus_statistics([prediction], streams)[0],
            *chrf._extract_corpus_statistics([prediction], streams)[0],
            *(f_measures[name].fmeasure for name in ROUGE_COLUMNS),
            *answer_scores(prediction, known, language),
        ]
    return rows


def signatures_of_texts(references: Sequence[Sequence[str]], language: str) -> dict[str, str]:
    """Return how each metric of generated text is computed; for BLEU and chrF sacrebleu's own signature.

    Args:
        references: of each text.
        language: of the texts.
    """
    bleu, chrf = _bleu(language), CHRF()
    counts = {len(known) for known in references}
    bleu.num_refs = chrf.num_refs = counts.pop() if len(counts) == 1 else VARYING
    rouge = f"tok:words+characters|stem:no|version:{metadata.version('rouge-score')}"
    rules = f"rules:{'cmrc2018' if language in BY_CHARACTERS else 'squad'}"
    return {
        **dict.fromkeys(ROUGE_COLUMNS, rouge),
        "rougeLsum": f"{rouge}|split:sentences",
        "bleu": str(bleu.get_signature()),
        "chrf": str(chrf.get_signature()),
        "f1": rules,
        "exact_match": rules,
    }


VARYING = -1
"""How sacrebleu says that texts have different numbers of references."""


def _bleu(language: str) -> BLEU:
    return BLEU(tokenize=BLEU_TOKENIZERS.get(language, "13a"), max_ngram_order=BLEU_ORDER)


assert CHRF.CHAR_ORDER == CHRF_ORDER, "the columns of the statistics follow sacrebleu's order"
