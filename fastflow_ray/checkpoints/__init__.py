"""A generation between two steps, as a value and as bytes, for another process to go on from. Knows no store."""
