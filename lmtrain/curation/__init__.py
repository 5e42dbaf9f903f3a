"""Corpora to curated documents: language, quality, repetition, copies."""
