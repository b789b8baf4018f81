"""What the commands do, one module a command; `flows.cli` only parses their options."""
