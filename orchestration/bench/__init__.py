"""What a fleet's shared parts cost as the fleet grows."""
