"""What the queue costs when much waits and many beat, on the embedded server: `fastflow-ray bench-queue`."""
