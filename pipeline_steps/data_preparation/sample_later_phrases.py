"""What the sample help desk hears later: new intents, and new ways to say old ones."""

from __future__ import annotations

from pipeline_steps.data_preparation.sample_phrases import Intent

NEW_INTENTS: dict[str, Intent] = {
    "instant_loan": Intent(
        ("a small loan over {amount}", "borrowing {amount} until payday", "the credit line"),
        (
            "can I borrow {amount} straight from the app?",
            "what interest would I pay for a loan of {amount}?",
            "my credit line is too low, may it be raised?",
        ),
    ),
    "crypto_wallet": Intent(
        ("buying coins in the app", "my coin wallet", "sending coins to another wallet"),
        (
            "where do I see the price of my coins?",
            "I want to put {amount} into coins, how does the wallet work?",
            "can I move my coins to a wallet outside the bank?",
        ),
    ),
}
"""Two intents that only the later stream has."""

REPHRASED: dict[str, tuple[str, ...]] = {
    "card_delivery": ("no plastic in the mail so far, any tracking link?",),
    "card_lost": ("my wallet got nicked at {shop}, kill the card please.",),
    "card_declined": ("tap to pay keeps bouncing at {shop}, what gives?",),
    "charged_twice": ("{shop} double dipped, {amount} went out again.",),
    "charge_unknown": ("there is a ghost payment of {amount} in my feed.",),
    "refund_missing": ("{shop} swears the cash is on its way back, I see zilch.",),
    "transfer_pending": ("my wire is sitting in limbo since {days} days.",),
    "login_problem": ("face unlock loops forever and the app kicks me.",),
    "fee_question": ("who pocketed {amount}, is that your cut?",),
    "pin_forgotten": ("my four digits slipped my mind, new ones please.",),
}
"""How the same things are said later: words that the first corpus does not use."""
