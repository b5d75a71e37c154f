"""What the device waits for between two videos, measured on a real worker, queue and store."""
