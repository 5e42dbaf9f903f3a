"""Every metric agrees to 1e-6 with the package or script that defines it, on seeded and hostile cases.

The packages are the reference; SQuAD's and CMRC's rules are written down here once more, from the
papers' scripts, without the code under test.
"""

import re
import string
from collections import Counter
from typing import Any

import numpy as np
import pytest
from nltk.tokenize.destructive import NLTKWordTokenizer
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from scipy.stats import pearsonr, spearmanr
from seqeval.metrics import f1_score as entity_f1
from seqeval.metrics import precision_score as entity_precision
from seqeval.metrics import recall_score as entity_recall
from seqeval.scheme import IOB2
from sklearn.metrics import f1_score, matthews_corrcoef, precision_score, recall_score

from lmtrain.evaluation.answers import answer_scores
from lmtrain.evaluation.classification import statistics_of_predictions
from lmtrain.evaluation.generated_text import statistics_of_texts
from lmtrain.evaluation.token_classification import statistics_of_tags
from lmtrain.evaluation.vectors import similarity_statistics
from lmtrain.statistics import metric_from_statistics
from lmtrain.text.segmentation import sentences

CLOSE = 1e-6
HOSTILE = [
    "", " ", "...", "。！？", "the", "a an the", "🙂 👩‍👩‍👧", "ＡＢＣ １２３",
    "用 Python 3.11 写的，很快！", "GPT-3 模型",
    "  two\n\n lines \t here ", "Don't stop; it's 3,000.50 kg.", "北京", "北京。北京。北京。",
    "\u3000北\u200b京", "“他说：走”",
    "café CAFÉ", "a" * 40, "one. Two? Three! Four.", "—— 破折号 ——", "1998年", "1998 年",
]  # fmt: skip
WORDS = {
    "en": ["the", "cat", "sat", "mat", "on", "A", "dog.", "dog,", "3.5", "runs", "ran", "it's"],
    "zh": [*"我们在北京看书写字", "。", "，", "Python", " 3 "],
}


def drawn(language: str, seed: int, count: int = 25) -> list[str]:
    """Return texts that share much, and the hostile ones."""
    random, glue = np.random.default_rng(seed), {"en": " ", "zh": ""}[language]
    lengths = random.integers(1, 14, count)
    texts = [glue.join(random.choice(WORDS[language], length).tolist()) for length in lengths]
    return random.permutation([*texts, *HOSTILE]).tolist()


class Characters(Tokenizer):
    """A tokenizer for ROUGE, one step after the other: Chinese characters apart, then the default's words."""

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens."""
        apart = "".join(f" {one} " if "\u4e00" <= one <= "\u9fff" else one for one in text.lower())
        words = re.sub(r"[^a-z0-9\u4e00-\u9fff]+", " ", apart)
        return words.split()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("language", ["en", "zh"])
def test_bleu_chrf_and_rouge(language, seed):
    said, right = drawn(language, seed), drawn(language, seed + 100)
    statistics = statistics_of_texts(said, [[one] for one in right], language)
    bleu = BLEU(tokenize={"en": "13a", "zh": "zh"}[language]).corpus_score(said, [right]).score
    assert metric_from_statistics("bleu", statistics) == pytest.approx(bleu, abs=CLOSE)
    assert metric_from_statistics("chrf", statistics) == pytest.approx(
        CHRF().corpus_score(said, [right]).score, abs=CLOSE
    )
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=Characters())
    scores = [scorer.score(theirs, ours) for ours, theirs in zip(said, right, strict=True)]
    for name in ("rouge1", "rouge2", "rougeL"):
        expected = np.mean([score[name].fmeasure for score in scores])
        assert metric_from_statistics(name, statistics) == pytest.approx(expected, abs=CLOSE)
    by_line = RougeScorer(["rougeLsum"], tokenizer=Characters())
    expected = [
        by_line.score(*("\n".join(sentences(text, language)) for text in pair))["rougeLsum"].fmeasure
        for pair in zip(right, said, strict=True)
    ]
    assert metric_from_statistics("rougeLsum", statistics) == pytest.approx(np.mean(expected), abs=CLOSE)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("text", HOSTILE)
def test_each_hostile_text_alone(text, language):
    for said, right in ((text, text), (text, "北京 the cat"), ("北京 the cat", text)):
        statistics = statistics_of_texts([said], [[right]], language)
        bleu = BLEU(tokenize={"en": "13a", "zh": "zh"}[language]).corpus_score([said], [[right]]).score
        assert metric_from_statistics("bleu", statistics) == pytest.approx(bleu, abs=CLOSE)
        chrf = CHRF().corpus_score([said], [[right]]).score
        assert metric_from_statistics("chrf", statistics) == pytest.approx(chrf, abs=CLOSE)
        rouge = RougeScorer(["rougeL"], tokenizer=Characters()).score(right, said)["rougeL"].fmeasure
        assert metric_from_statistics("rougeL", statistics) == pytest.approx(rouge, abs=CLOSE)


def squad(said: str, golds: list[str]) -> tuple[float, float]:
    """Return exact match and F1 by the rules of SQuAD 2.0's script."""

    def tokens(text: str) -> list[str]:
        plain = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", plain).split()

    def f1(ours: list[str], theirs: list[str]) -> float:
        if not ours or not theirs:
            return float(ours == theirs)
        same = sum((Counter(ours) & Counter(theirs)).values())
        precision, recall = same / len(ours), same / len(theirs)
        return 2 * precision * recall / (precision + recall) if same else 0.0

    kept = [tokens(gold) for gold in golds if tokens(gold)] or [[]]
    return max(float(tokens(said) == gold) for gold in kept), max(f1(tokens(said), gold) for gold in kept)


CMRC_MARKS = {*"-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』", "……"}


def cmrc(said: str, golds: list[str]) -> tuple[float, float]:
    """Return exact match and F1 by the rules of CMRC 2018's script."""

    def plain(text: str) -> str:
        return "".join(one for one in text.lower().strip() if one not in CMRC_MARKS)

    def units(text: str) -> list[str]:
        found: list[str] = []
        for piece in re.split(r"([\u4e00-\u9fa5])", plain(text)):
            found += NLTKWordTokenizer().tokenize(piece)
        return found

    def f1(ours: list[str], theirs: list[str]) -> float:
        runs = [
            size
            for i in range(len(ours))
            for j in range(len(theirs))
            for size in range(1, min(len(ours) - i, len(theirs) - j) + 1)
            if ours[i : i + size] == theirs[j : j + size]
        ]
        precision, recall = (
            max(runs, default=0) / max(len(ours), 1),
            max(runs, default=0) / max(len(theirs), 1),
        )
        return 2 * precision * recall / (precision + recall) if runs else 0.0

    return (
        max(float(plain(said) == plain(gold)) for gold in golds),
        max(f1(units(said), units(gold)) for gold in golds),
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("language", "rules"), [("en", squad), ("zh", cmrc)])
def test_answers_by_the_rules_of_their_script(language, rules, seed):
    said, first, second = (drawn(language, seed + shift, 40) for shift in (0, 100, 200))
    for prediction, *golds in zip(said, first, second, strict=True):
        assert answer_scores(prediction, golds, language) == pytest.approx(
            rules(prediction, golds), abs=CLOSE
        )
        own = [*golds, prediction]
        assert answer_scores(prediction, own, language) == pytest.approx(rules(prediction, own), abs=CLOSE)


def test_english_answers_where_there_is_none():
    for prediction in HOSTILE:
        assert answer_scores(prediction, [], "en") == squad(prediction, [])


def tag_lists(seed: int) -> tuple[list[list[str]], list[list[str]]]:
    """Return gold tags and predicted ones, drawn freely: I- without B-, changes of type, bare O."""
    random = np.random.default_rng(seed)
    tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-人名", "I-人名"]
    gold = [random.choice(tags, length).tolist() for length in random.integers(1, 9, 40)]
    said = [[str(random.choice(tags)) if random.random() < 0.3 else tag for tag in own] for own in gold]
    return gold, said


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize(
    ("gold", "said"),
    [
        *(pytest.param(*tag_lists(seed), id=f"seed {seed}") for seed in range(5)),
        ([["B-NP", "I-NP", "O"]], [["I-NP", "I-NP", "O"]]),
        ([["B-A", "O"]], [["O", "O"]]),
        ([["B-A", "B-A"], ["B-B", "I-B"]], [["B-A", "I-A"], ["B-C", "I-B"]]),
    ],
)
def test_entities_in_both_modes_of_seqeval(gold, said):
    types = sorted({tag[2:] for tags in (*gold, *said) for tag in tags if tag != "O"})
    statistics = statistics_of_tags(said, gold, types)
    expected = {
        "entity_f1": entity_f1(gold, said),
        "entity_precision": entity_precision(gold, said),
        "entity_recall": entity_recall(gold, said),
        "entity_f1_macro": entity_f1(gold, said, average="macro"),
        "entity_f1_strict": entity_f1(gold, said, mode="strict", scheme=IOB2),
    }
    found = {name: metric_from_statistics(name, statistics) for name in expected}
    assert found == pytest.approx(expected, abs=CLOSE)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.parametrize(
    ("gold", "said"),
    [
        ("aaaa", "aaaa"),
        ("aaaa", "bbbb"),
        ("aabb", "aaaa"),
        ("aaaa", "aabb"),
        ("好差好差", "好好差差"),
        ("abc", "cab"),
    ],
)
def test_averages_of_f1_on_one_class_and_on_none_right(gold, said):
    """One class in gold, one in the predictions, none right."""
    statistics = statistics_of_predictions([*map(list, said)], [*map(list, gold)], sorted({*gold, *said}))
    ours = {
        name: metric_from_statistics(name, statistics)
        for name in ("f1_macro", "f1_micro", "f1_weighted", "precision_macro", "recall_macro", "mcc")
    }
    truth, guess = [*gold], [*said]
    theirs = {f"f1_{way}": f1_score(truth, guess, average=way) for way in ("macro", "micro", "weighted")}
    macro: dict[str, Any] = {"average": "macro", "zero_division": 0}
    theirs["precision_macro"] = precision_score(truth, guess, **macro)
    theirs["recall_macro"] = recall_score(truth, guess, **macro)
    theirs["mcc"] = matthews_corrcoef(truth, guess)
    assert ours == pytest.approx(theirs, abs=CLOSE)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ties", [0, 3])
def test_correlations_are_those_of_scipy(seed, ties):
    random = np.random.default_rng(seed)
    true = random.integers(0, ties, 60).astype(float) if ties else random.normal(1e4, 1, 60)
    scores = true + random.normal(size=60).round(0 if ties else 6)
    statistics = similarity_statistics(scores, true)
    assert metric_from_statistics("spearman", statistics) == pytest.approx(
        spearmanr(scores, true)[0], abs=CLOSE
    )
    assert metric_from_statistics("pearson", statistics) == pytest.approx(
        pearsonr(scores, true)[0], abs=CLOSE
    )


def test_scores_that_are_all_the_same_correlate_with_nothing():
    statistics = similarity_statistics(np.ones(5), np.arange(5.0))
    assert metric_from_statistics("spearman", statistics) == 0
    assert metric_from_statistics("pearson", statistics) == 0
