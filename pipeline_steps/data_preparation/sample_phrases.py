"""What customers of the sample help desk ask: two ways to say each intent.

``topics`` are noun phrases. They fill the same frames whether the customer asks about them or says
that they are settled, so the words alone do not tell the intent. ``asks`` are whole sentences.
Slots in braces are filled by the grammar.
"""

from __future__ import annotations

from typing import NamedTuple


class Intent(NamedTuple):
    """The phrases of one intent."""

    topics: tuple[str, ...]
    asks: tuple[str, ...]


INTENTS: dict[str, Intent] = {
    "card_delivery": Intent(
        (
            "the new card that has not come",
            "my card still being in the post",
            "the delivery of my {card} card",
            "the card you sent {days} days ago",
            "the replacement card I am waiting for",
        ),
        (
            "{days} days and nothing in my letter box yet, when will the card get here?",
            "how long does it take until the {card} card reaches {city}?",
            "could you track the envelope with my new card?",
            "was my card sent to the old address in {city}?",
        ),
    ),
    "card_lost": Intent(
        (
            "the card I cannot find",
            "my card that went missing in {city}",
            "losing my {card} card",
            "the card that is gone since the weekend",
            "my purse with the card being stolen",
        ),
        (
            "I must have left my card in {city}, block it before someone pays with it!",
            "somebody took my bag at {shop} and the {card} card was in it.",
            "my card is nowhere to be found, please freeze it right away.",
            "I dropped my card somewhere, how do I stop it from being used?",
        ),
    ),
    "card_found_unblock": Intent(
        (
            "unblocking the card I found again",
            "the frozen card that turned up at home",
            "taking the block off my {card} card",
            "switching the card on again that I had reported",
            "the card that was in my coat all along",
        ),
        (
            "the card I had reported was under the sofa, can it work again?",
            "false alarm, my card is back in my hand, please lift the freeze.",
            "I found the {card} card in my other bag, how do I activate it again?",
            "undo the block, the card was never stolen.",
        ),
    ),
    "card_declined": Intent(
        (
            "my card being refused at {shop}",
            "the payment that was declined",
            "the terminal that did not take my card",
            "the {card} card not working in shops",
            "the refusal at the till in {city}",
        ),
        (
            "the till at {shop} said no although there is money in the account, why?",
            "I stood at the checkout and my card would not go through.",
            "why does every shop in {city} turn my {card} card down?",
            "paying {amount} failed twice today, what is wrong with the card?",
        ),
    ),
    "cash_machine_refused": Intent(
        (
            "the cash machine that gave me nothing",
            "the failed withdrawal in {city}",
            "the machine that kept saying no to {amount}",
            "not getting cash with my {card} card",
            "the withdrawal that was cancelled",
        ),
        (
            "I tried to take out {amount} in {city} and the machine refused.",
            "no cash machine hands me any notes, what is going on?",
            "the screen said withdrawal not possible, although my balance is fine.",
            "why can I not draw {amount} with the {card} card?",
        ),
    ),
    "cash_amount_wrong": Intent(
        (
            "the machine that paid out too little",
            "the missing notes from the cash machine",
            "getting less than {amount} from the machine",
            "the wrong sum that came out in {city}",
            "the withdrawal booked higher than what I got",
        ),
        (
            "I asked for {amount} and only half of it came out of the machine.",
            "the account says {amount} was withdrawn, but I counted fewer notes.",
            "the machine in {city} kept part of my money, please check.",
            "a note was missing when I withdrew {amount}, who corrects that?",
        ),
    ),
    "charged_twice": Intent(
        (
            "the double booking from {shop}",
            "{amount} being taken two times",
            "the payment that shows up twice",
            "the same purchase booked again",
            "the second charge of {amount}",
        ),
        (
            "{shop} took {amount} two times for one purchase.",
            "one coffee, two bookings: why do I see {amount} twice?",
            "the same payment to {shop} stands on the statement again, one is too many.",
            "I paid once and was debited twice, give one of them back.",
        ),
    ),
    "charge_unknown": Intent(
        (
            "the payment I do not recognise",
            "the booking of {amount} from a stranger",
            "an entry that is not mine",
            "the charge in {city} where I have never been",
            "the debit nobody here made",
        ),
        (
            "there is {amount} gone to a company I have never heard of.",
            "I never bought anything at {shop}, who used my account?",
            "what is this debit of {amount} from {city}? It was not me.",
            "someone else seems to pay with my details, I see a strange entry.",
        ),
    ),
    "refund_missing": Intent(
        (
            "the refund that never came",
            "the money {shop} was going to return",
            "the return I was promised {days} days ago",
            "waiting for {amount} to come back",
            "the credit note that is not booked",
        ),
        (
            "{shop} says they sent {amount} back, but nothing is on my account.",
            "I returned the shoes {days} days ago, where is my money?",
            "how long until a refund from {shop} shows up?",
            "the seller confirmed the reimbursement, my balance does not.",
        ),
    ),
    "refund_request": Intent(
        (
            "getting my money back for the order",
            "claiming back {amount}",
            "reversing the purchase at {shop}",
            "wanting to cancel what I bought",
            "asking for a chargeback",
        ),
        (
            "the parcel from {shop} never came, can you fetch my {amount} back?",
            "I would like to dispute a purchase and have it reversed.",
            "the goods were broken, how do I claim {amount} back through you?",
            "please start a chargeback against {shop}.",
        ),
    ),
    "transfer_pending": Intent(
        (
            "the transfer that is still pending",
            "the {amount} that has not reached my landlord",
            "my payment order stuck since {days} days",
            "the transfer to {city} taking so long",
            "the money that left but did not arrive",
        ),
        (
            "I sent {amount} {days} days ago and the other side has got nothing.",
            "why is my transfer still shown as in progress?",
            "my landlord in {city} is waiting, when does the money arrive?",
            "the transfer left my account but has not been credited over there.",
        ),
    ),
    "transfer_failed": Intent(
        (
            "the transfer that came back",
            "the rejected payment order",
            "the error when I send {amount}",
            "my standing order that did not run",
            "the transfer your app will not accept",
        ),
        (
            "each time I send {amount} the app shows an error and nothing is sent.",
            "my transfer to {city} was returned to me, what did I do wrong?",
            "the order was rejected although the account number is right.",
            "the rent did not go out because the transfer was refused.",
        ),
    ),
    "transfer_cancel": Intent(
        (
            "stopping a transfer I just made",
            "calling back {amount} sent to the wrong person",
            "the transfer with a typo in the account number",
            "taking back yesterday's order",
            "cancelling a standing order",
        ),
        (
            "I typed the wrong account number, stop the transfer of {amount}!",
            "can I take a transfer back that went to the wrong name?",
            "please cancel the order over {amount} from this morning.",
            "I no longer want that standing order to {city}, end it.",
        ),
    ),
    "top_up_failed": Intent(
        (
            "the top-up that did not work",
            "loading {amount} onto the account",
            "adding money with my {card} card failing",
            "the top-up that was turned down",
            "the balance that does not rise after topping up",
        ),
        (
            "I want to load {amount} but the top-up is refused each time.",
            "the app takes my {card} card for nothing, the top-up fails.",
            "topping up worked last month, now I only get a red cross.",
            "why was my attempt to add {amount} turned down?",
        ),
    ),
    "pin_forgotten": Intent(
        (
            "the PIN I do not remember",
            "my card code being blocked",
            "a new PIN for the {card} card",
            "the wrong number typed three times",
            "choosing another PIN",
        ),
        (
            "I typed the wrong number three times, how do I get a new code?",
            "which number belongs to my {card} card? I forgot it.",
            "I want to change the four digits of my card.",
            "the machine says code blocked, please reset it.",
        ),
    ),
    "login_problem": Intent(
        (
            "not getting into the app",
            "the password that is not accepted",
            "logging in from my new phone",
            "the code by text message that never comes",
            "the app throwing me out",
        ),
        (
            "the app does not let me in since I changed my phone.",
            "my password is wrong, says the app, but it is not.",
            "I never receive the text with the login code.",
            "each time I open the app it throws me out after a second.",
        ),
    ),
    "address_change": Intent(
        (
            "my move to {city}",
            "the new address in my profile",
            "changing my surname after the wedding",
            "a new phone number in my details",
            "the old street that is still on file",
        ),
        (
            "I live in {city} now, where do I enter the new street?",
            "I got married, please put my new name on the account.",
            "my phone number changed, how do I update it?",
            "letters still go to my old flat, please correct my details.",
        ),
    ),
    "identity_check": Intent(
        (
            "proving who I am",
            "the passport photo you keep refusing",
            "the video check that broke off",
            "the documents you asked for",
            "the verification that is not finished",
        ),
        (
            "why do you need my passport again, was it not clear?",
            "the photo of my identity card is rejected every time.",
            "the video call broke off before I could show my passport.",
            "which papers count as proof of where I live?",
        ),
    ),
    "fee_question": Intent(
        (
            "the fee on my statement",
            "what you charge for payments abroad",
            "the {amount} you took for the card",
            "the monthly price of the account",
            "the extra cost in {city}",
        ),
        (
            "why did you keep {amount} as a fee this month?",
            "what does it cost to pay with the {card} card in {city}?",
            "is drawing cash abroad free, or is there a charge?",
            "I see a commission of {amount}, what is it for?",
        ),
    ),
    "account_closing": Intent(
        (
            "closing my account",
            "ending the contract with you",
            "leaving for another bank",
            "having all my data deleted",
            "giving back the {card} card for good",
        ),
        (
            "I want to leave the bank, how do I close everything?",
            "please shut my account and pay out what is left, about {amount}.",
            "delete my profile, I bank elsewhere now.",
            "what do I have to sign to end the contract?",
        ),
    ),
}
"""Twenty intents; several differ by what is asked, not by what is mentioned."""
