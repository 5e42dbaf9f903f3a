"""A model from elsewhere to an artifact: a Hugging Face folder, local or remote, taken in as it is."""
