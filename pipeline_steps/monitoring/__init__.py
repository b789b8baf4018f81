"""What a served model was asked and answered, and what follows from it."""
