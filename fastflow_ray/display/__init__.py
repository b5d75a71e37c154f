"""What people see in a terminal: records in, something to print out. It asks no queue, and prints nothing itself."""
