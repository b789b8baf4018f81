"""What the commands do, one module a command; `flows.command_line` only parses their options."""
