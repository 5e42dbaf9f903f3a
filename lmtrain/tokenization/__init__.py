"""Documents to a tokenizer and to Arrow shards of token ids."""
