"""Sources to documents, and labelled files to labelled sets."""
