"""Which parameters learn and how: each tuning method is one module that knows no objective."""
