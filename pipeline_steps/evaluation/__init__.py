"""From predictions to reports: pure functions, no torch."""
