"""Where, when and in which order the steps run; nothing of what they do."""
