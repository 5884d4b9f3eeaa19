"""Tables, shards, and the verdict on an attack."""
