"""What each machine-learning problem looks like: its rows, head, loss and decoding."""
