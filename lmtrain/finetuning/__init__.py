"""A model and a labelled set to a model of one task."""
