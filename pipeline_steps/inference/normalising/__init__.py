"""What a checkpoint does to a text before its tokenizer: characters folded, spelling mended."""
