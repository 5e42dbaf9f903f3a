"""The only importer of Ray: a cluster, a map over shards, and a launcher of training."""
