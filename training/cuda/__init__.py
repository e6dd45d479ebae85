"""What training does on an NVIDIA GPU alone."""
