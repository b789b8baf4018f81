"""The attacks on one version, or on a pair, as a page of its own."""

from __future__ import annotations

from pipeline_steps.attack_types import UnderAttack
from pipeline_steps.reporting.attack_tables import attack_tables
from pipeline_steps.reporting.environment import environment


def render_attack_page(title: str, under: UnderAttack) -> str:
    """Return the page as HTML that needs no other file."""
    template = environment().get_template("attack_page.html")
    return template.render(title=title, attack=attack_tables(under))
