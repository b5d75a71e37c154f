"""What is known about skipping, and the choice made from it. Merges by addition; knows no tensor, no Ray, no Redis."""
