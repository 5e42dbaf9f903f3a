"""Words and sentences of a language, and how alike two texts are."""
