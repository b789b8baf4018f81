"""The scoring service: requests in batches, each answer logged before it is given."""
