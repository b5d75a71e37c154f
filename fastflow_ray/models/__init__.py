"""Models behind one engine contract; diffusers' grammar is spoken here and nowhere else. Knows no jobs, no queue."""
