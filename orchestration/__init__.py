"""One fleet: shared statistics, the supervisor, the scaling policy, the HTTP API, and raising it all."""
