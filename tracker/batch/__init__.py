"""Many clips: processes, Ray, shards, the table."""
