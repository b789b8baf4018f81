"""What a fine-tuned model carries beside its weights because it cannot be merged into them."""
