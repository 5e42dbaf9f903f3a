"""Labelled examples as token rows: the same in fine-tuning and in evaluation."""
