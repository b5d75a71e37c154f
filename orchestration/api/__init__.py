"""The fleet over HTTP: `/v1/videos` as the openai client speaks it, and what the fleet knows of itself.

Knows the queue, the store and the statistics by their contracts; knows nothing of Ray, torch or the workers, so a
submission survives the loss of any of them.
"""
