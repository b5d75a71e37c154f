"""One GPU: the story of one job, the lease that keeps it ours, the feed of what it taught. Ray only in `actor.py`."""
