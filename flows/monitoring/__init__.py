"""The steps of a monitor: references, windows of traffic, tickets and their labels, the verdict."""
