"""What the reasons mean for which rows are set aside, for those who meet one the first time."""

from __future__ import annotations

_MEANINGS: dict[str, str] = {
    "answer_empty": "an answer is an empty text; of a question without answer the list is empty",
    "answer_misplaced": "the context does not have the answer's text at its start, in characters "
    "from 0",
    "candidate_empty": "a candidate is an empty text",
    "candidate_repeated": "two candidates are the same text",
    "label_empty": "an item of the list of labels is empty",
    "lengths_differ": "there are not as many tags as tokens",
    "malformed_json": "no JSON object stands on the line",
    "nothing_asked": "no message of the conversation is by the user",
    "question_missing": "there is no question",
    "right_outside": "right is the place of a candidate, from 0, or its text",
    "role_unknown": "the roles are system, user and assistant",
    "span_empty": "a span is [start, end] in characters of the text, the end not included",
    "span_outside": "a span ends behind the text; it counts characters, not words",
    "spans_identical": "head and tail are the same span",
    "summary_is_document": "the summary is the whole document",
    "tag_malformed": "tags are O, B-TYPE and I-TYPE, or those of IOB1, BIOES and BILOU",
    "target_damaged": "the text to be written has lost characters (U+FFFD)",
    "target_empty": "the text to be written is empty",
    "target_missing": "nothing stands where the right answer belongs",
    "token_empty": "a token is an empty text",
    "too_few_candidates": "there is nothing to choose from: at least two candidates",
    "turn_empty": "a message is an empty text",
    "untranslated": "the translation is the text itself",
}
_FORMS: dict[str, str] = {
    "answers": 'a list of {"text": ..., "start": ...}, start in characters of the context',
    "candidates": "a list of texts",
    "head_span": "[start, end] in characters of the text",
    "labels": "a list, it as JSON, or a text with ; or | between the labels",
    "messages": 'a list of {"role": ..., "content": ...}, or it as JSON',
    "right": "the place of a candidate, from 0, or the text of one",
    "tags": "a list of texts, it as JSON, or a text with blanks between the tags",
    "tail_span": "[start, end] in characters of the text",
    "target": "a text, or a list of texts",
    "text": "a text",
    "text_pair": "a text",
    "tokens": "a list of texts, it as JSON, or a text with blanks between the tokens",
}
"""What a field holds, for reasons of the form ``tags_not_a_list``."""


def meaning(reason: str) -> str | None:
    """Return what a reason means, or ``None`` where its name says it.

    Examples
    --------
    >>> meaning("lengths_differ"), meaning("labels_not_a_list"), meaning("text_too_short")
    ('there are not as many tags as tokens', 'labels is a list, it as JSON, or a text with ; or | between the labels', None)
    """  # noqa: E501
    field, is_form, _ = reason.partition("_not_a_")
    if is_form and field in _FORMS:
        return f"{field} is {_FORMS[field]}"
    return _MEANINGS.get(reason)
