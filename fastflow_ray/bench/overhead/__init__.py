"""What a step costs beside the network: time, memory and waits of our own, at the size of a real model."""
