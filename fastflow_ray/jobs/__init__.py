"""What a job is, which states it goes through and when it is tried again. Knows nothing of Redis."""
