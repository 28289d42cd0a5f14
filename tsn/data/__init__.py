"""Videos, their index, the shards and what a network is fed with."""
