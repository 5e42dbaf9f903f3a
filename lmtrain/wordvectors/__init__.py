"""Curated documents to static vectors of words: word2vec, fastText and GloVe."""
