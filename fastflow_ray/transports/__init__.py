"""The two ways from a client to a fleet: its queue and store directly, or its HTTP API."""
