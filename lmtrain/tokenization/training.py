"""Texts to a tokenizer: byte-level BPE, WordPiece or Unigram.

BPE's training is deterministic. WordPiece's and Unigram's differ between
identical runs, even on one thread: such a tokenizer is made once under a root,
and known by its hash.
"""

import json
from collections.abc import Callable, Iterator

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from lmtrain.tokenization.config import Algorithm, TokenizerSettings
from lmtrain.tokenization.special_tokens import SPECIAL_TOKENS

WORD_PATTERN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""What is never merged across: words, groups of up to three digits, punctuation, line ends, indentation."""

BYTE_SCORE = -1e4
"""Of Unigram's bytes: chosen only where no piece has the character."""


def train(texts: Iterator[str], settings: TokenizerSettings) -> Tokenizer:
    """Train a tokenizer.

    Args:
        texts: training documents.
        settings: algorithm, size, special tokens.
    """
    return _ALGORITHMS[settings.model](texts, settings)


def _train_bpe(texts: Iterator[str], settings: TokenizerSettings) -> Tokenizer:
    """Train byte-level BPE; any text can be encoded, and decodes to itself."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size,
        min_frequency=settings.min_frequency,
        special_tokens=SPECIAL_TOKENS[settings.special_tokens].tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _train_wordpiece(texts: Iterator[str], settings: TokenizerSettings) -> Tokenizer:
    """Train cased WordPiece with BERT's words; each Han character is a word.

    Half of the vocabulary may be single characters: with the usual thousand most
    Chinese would be unknown.
    """
    unknown = _unknown(settings)
    tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=settings.vocab_size,
        min_frequency=settings.min_frequency,
        special_tokens=SPECIAL_TOKENS[settings.special_tokens].tokens,
        limit_alphabet=settings.vocab_size // 2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _train_unigram(texts: Iterator[str], settings: TokenizerSettings) -> Tokenizer:
    """Train Unigram (Kudo 2018) whose unknown characters are written as bytes."""
    unknown = _unknown(settings)
    special = SPECIAL_TOKENS[settings.special_tokens].tokens
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD_PATTERN), behavior="isolated"),
            pre_tokenizers.Metaspace(prepend_scheme="never", split=False),
        ]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=settings.vocab_size - 256,
        special_tokens=special,
        unk_token=unknown,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _with_bytes(tokenizer, len(special))


def _with_bytes(tokenizer: Tokenizer, after: int) -> Tokenizer:
    """Return a Unigram tokenizer that has the 256 bytes after its special tokens."""
    form = json.loads(tokenizer.to_str())
    vocabulary = form["model"]["vocab"]
    form["model"]["vocab"] = [
        *vocabulary[:after],
        *([f"<0x{byte:02X}>", BYTE_SCORE] for byte in range(256)),
        *vocabulary[after:],
    ]
    form["model"]["byte_fallback"] = True
    found = Tokenizer.from_str(json.dumps(form))
    found.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return found


def _unknown(settings: TokenizerSettings) -> str:
    return SPECIAL_TOKENS[settings.special_tokens].names["unk_token"]


_ALGORITHMS: dict[Algorithm, Callable[[Iterator[str], TokenizerSettings], Tokenizer]] = {
    "bpe": _train_bpe,
    "wordpiece": _train_wordpiece,
    "unigram": _train_unigram,
}
