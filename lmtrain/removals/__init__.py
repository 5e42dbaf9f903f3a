"""A list of what must go, and what it means for documents that are there: below the stages that heed it."""
