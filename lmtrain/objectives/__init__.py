"""What is learned: rows to a batch, and a batch to a loss."""
