"""Messages from phrases: opening, a settled matter, the ask, closing, in a channel's style."""

from __future__ import annotations

import random
from dataclasses import dataclass

from pipeline_steps.data_preparation.sample_phrases import INTENTS, Intent

CHANNELS = ("email", "app", "chat", "phone")
CHANNEL_WEIGHTS = (34, 30, 28, 8)
CUSTOMER_GROUPS = ("private", "business", "student", "senior")
_GROUP_WEIGHTS = (55, 20, 15, 10)

_SETTLED_SHARE = 0.75
_SETTLED = (
    "The matter of {topic} is settled, thank you.",
    "{topic} has been sorted out by your colleague.",
    "I wrote to you about {topic} before, that part is done.",
    "This is not about {topic}.",
    "You already helped me with {topic}.",
    "Forget what I said about {topic}.",
    "With {topic} everything is fine by now.",
    "Last month it was {topic}, and you solved it.",
)
_ASKED = (
    "What I need now is help with {topic}.",
    "Could you look into {topic}?",
    "My question today is {topic}.",
    "Nobody has dealt with {topic} so far.",
    "{topic} is what worries me.",
    "I am writing because of {topic}.",
    "Please take care of {topic}.",
    "Still open is {topic}.",
)
_OPENINGS = (
    "Good morning,",
    "Hello,",
    "Dear team,",
    "Hi there,",
    "To whom it may concern,",
    "Good evening,",
    "I hope you can help.",
    "I have been a customer for {days} years.",
    "I am on the road in {city} right now.",
    "This is the second time I write.",
)
_CLOSINGS = (
    "Thank you in advance.",
    "Best regards",
    "Please answer soon.",
    "I need an answer by tomorrow.",
    "You can reach me in the evening.",
    "Thanks!",
    "Kind regards from {city}",
    "I am not pleased.",
    "Have a nice day.",
    "It is urgent.",
)
_FILLERS = ("uh", "you know", "well", "so yeah", "erm", "I mean")
_SLOTS = {
    "amount": ("15 euros", "49.90", "120 euros", "380", "1,250 euros", "7.50", "2,000", "60 euros"),
    "shop": ("Novamart", "Bluebird Books", "the bakery", "Kestrel Air", "Petrol 24", "Hallmann"),
    "city": ("Lisbon", "Graz", "Oslo", "Turin", "Leeds", "Ghent", "Porto", "Bergen"),
    "card": ("debit", "credit", "virtual", "prepaid"),
    "days": ("three", "four", "six", "ten", "12", "14", "20"),
}


@dataclass(frozen=True)
class Customer:
    """Someone who writes in a style of their own."""

    customer_id: str
    group: str
    channel: str
    talkative: float
    lower_case: bool


def make_customer(number: int, generator: random.Random) -> Customer:
    """Return customer ``number``: group, usual channel and habits."""
    return Customer(
        customer_id=f"C{number:05d}",
        group=generator.choices(CUSTOMER_GROUPS, _GROUP_WEIGHTS)[0],
        channel=generator.choices(CHANNELS, CHANNEL_WEIGHTS)[0],
        talkative=generator.uniform(0.3, 0.9),
        lower_case=generator.random() < 0.25,  # noqa: PLR2004 - a quarter of the people
    )


def write_message(
    intent: str,
    customer: Customer,
    generator: random.Random,
    *,
    phrases: Intent | None = None,
) -> str:
    """Return what a customer writes with an intent.

    Three in four messages also mention another matter, in words that could ask for it just as well
    ("You already helped me with ..."): only how the two are framed tells which one is asked.
    """
    ask = _ask(phrases or INTENTS[intent], generator)
    body = [ask]
    if generator.random() < _SETTLED_SHARE:
        other = generator.choice([name for name in INTENTS if name != intent])
        topic = generator.choice(INTENTS[other].topics)
        body.insert(generator.randrange(2), _sentence(generator.choice(_SETTLED), topic))
    if generator.random() < customer.talkative:
        body.insert(0, generator.choice(_OPENINGS))
    if generator.random() < customer.talkative:
        body.append(generator.choice(_CLOSINGS))
    return in_style(_filled(" ".join(body), generator), customer, generator)


def in_style(message: str, customer: Customer, generator: random.Random) -> str:
    """Return a message as it looks in the customer's channel."""
    if customer.channel == "phone":
        return _spoken(message, generator)
    if customer.channel == "chat" or customer.lower_case:
        message = message.lower()
    if customer.channel == "chat" and generator.random() < 0.5:  # noqa: PLR2004 - half of them
        message = message.replace(".", "").replace(",", "")
    return message


def _ask(phrases: Intent, generator: random.Random) -> str:
    if generator.random() < 0.5:  # noqa: PLR2004 - frame or whole sentence
        return _sentence(generator.choice(_ASKED), generator.choice(phrases.topics))
    sentence = generator.choice(phrases.asks)
    return sentence[0].upper() + sentence[1:]


def _sentence(frame: str, topic: str) -> str:
    sentence = frame.replace("{topic}", topic)
    return sentence[0].upper() + sentence[1:]


def _filled(message: str, generator: random.Random) -> str:
    for slot, values in _SLOTS.items():
        while f"{{{slot}}}" in message:
            message = message.replace(f"{{{slot}}}", generator.choice(values), 1)
    return message


def _spoken(message: str, generator: random.Random) -> str:
    """Return a transcript: no punctuation, no capitals, fillers."""
    words = "".join(c for c in message.lower() if c not in ".,?!:").split()
    for _ in range(1 + len(words) // 10):
        words.insert(generator.randrange(len(words)), generator.choice(_FILLERS))
    return " ".join(words)
