"""Plans: which tests and which services each shard of a CI job gets, so that all shards end early."""
