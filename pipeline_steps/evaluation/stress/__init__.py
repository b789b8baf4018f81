"""What a test accuracy does not say: sureness, unseen intents, shift, churn, luck of the seed."""
