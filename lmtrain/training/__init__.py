"""The one train loop: data order, optimizer, schedule, precision, sharding, checkpoints, metrics. No Ray."""
