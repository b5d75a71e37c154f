"""How fast fleets learn: simulated workers, real `FastFlow` objects, a real `Ledger`, and a flow in closed form."""
