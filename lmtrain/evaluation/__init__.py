"""Models and baselines, each on one data set, to scores with intervals."""
