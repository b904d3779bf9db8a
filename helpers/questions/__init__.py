"""Questions to answer in the page, with a reply to every answer that says what may be behind it.

A chapter's questions live in a module here that is named after it, so that its notebook does not hold the answers:
``questions.same_size`` in a cell shows the question. :class:`Choices` is answered by choosing, and needs no JavaScript;
:class:`Number` is answered by typing. Both are plain HTML: they work in a page opened from disk, and in a notebook.

Texts are plain, with code between backticks.
"""

import hashlib
import math
import re
from html import escape
from numbers import Real
from typing import NamedTuple

MOST_CHOICES = 8
RIGHT, WRONG = "Right.", "Not quite."
CHOSEN = ",".join(
    f".question input:nth-of-type({i}):checked~.reply>p:nth-child({i})" for i in range(1, MOST_CHOICES + 1)
)
SHEET = f"""<style>
.question{{border:1px solid var(--figure-muted,#6b7280);border-left:4px solid var(--figure-third,#6b4fbb);
border-radius:6px;margin:.6rem 0;padding:.7rem 1rem .9rem;max-width:44em;line-height:1.45}}
.question *{{box-sizing:border-box}}
.question fieldset{{border:0;margin:0;padding:0;min-width:0}}
.question .stem{{display:block;width:100%;float:none;margin:0 0 .6rem;padding:0;border:0;
font-size:inherit;line-height:inherit;font-weight:600}}
.question fieldset>input{{display:block;position:relative;z-index:1;width:20px;height:20px;margin:18px 0 -32px 12px;
cursor:pointer;accent-color:var(--figure-accent,#1d6fa5)}}
.question fieldset>input:first-of-type{{margin-top:12px}}
.question fieldset>label{{display:block;min-height:44px;margin:0;padding:10px .8em 10px 44px;line-height:22px;
cursor:pointer;border:1px solid var(--figure-muted,#6b7280);border-radius:6px}}
.question input:checked+label{{border-color:var(--figure-accent,#1d6fa5);
box-shadow:inset 0 -3px var(--figure-accent,#1d6fa5)}}
.question input:focus-visible+label{{outline:3px solid var(--figure-second,#b4530a);outline-offset:1px}}
.question .reply p{{display:none;margin:.6rem 0 0}}
.question .reply .of{{display:none}}
{CHOSEN},.question .typed+.reply p{{display:block}}
.question .typed{{display:flex;flex-wrap:wrap;gap:6px;align-items:center}}
.question .typed>*{{min-height:44px;font:inherit;color:inherit;background:transparent;padding:0 .8em;
border:1px solid var(--figure-muted,#6b7280);border-radius:6px}}
.question .typed>input{{width:9em}}
.question .typed>button{{cursor:pointer;font-weight:600}}
.question .typed>:focus-visible{{outline:3px solid var(--figure-second,#b4530a);outline-offset:1px}}
.question summary{{cursor:pointer;line-height:44px;font-size:.9em}}
.question details ul{{margin:0;padding-left:1.2em}}
@media (scripting:none){{.question .typed{{display:none}}}}
@media print{{.question{{break-inside:avoid}}.question .typed,.question .typed+.reply{{display:none}}
.question .reply p{{display:block}}.question .reply .of{{display:inline}}.question details::details-content{{
content-visibility:visible;block-size:auto}}}}
</style>"""
# 1,516 and 1 516 are 1516; 2,5 is 2.5; a minus sign may be any of three. What is then no number gets a hint.
CHECK = r"""let q=this.closest('.question'),t=q.querySelector('input').value;
t=t.replace(/[\s_'’]/g,'').replace(/[−–]/g,'-');
t=/^[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$/.test(t)?t.replace(/,/g,''):t.replace(',','.');
let n=/^[-+]?(\d+\.?\d*|\.\d+)$/.test(t)?+t:NaN,all=[...q.querySelectorAll('li')],
hit=all.find(li=>Math.abs(n-li.dataset.value)<=li.dataset.within)||all.at(-1);
q.querySelector('.reply p').innerHTML=isNaN(n)
?'Type one number, such as 12, −3 or 0.5.':hit.querySelector('span').innerHTML;"""
# JupyterLab would take arrow keys and Enter for its own commands; it spares elements that say so themselves.
KEYS = 'data-lm-suppress-shortcuts="true"'
ENTER = "if(event.key==='Enter'){event.preventDefault();this.nextElementSibling.click()}"


class Right(NamedTuple):
    """The choice that answers the question, and why it does."""

    text: str
    reply: str


class Wrong(NamedTuple):
    """A choice that does not, and the thought that leads to it, put right."""

    text: str
    reply: str


class Choices:
    """A question with one right choice among several.

    Parameters
    ----------
    stem : str
        The question.
    *choices : Right or Wrong
        Two to eight, in the order shown; exactly one is :class:`Right`.

    Raises
    ------
    ValueError
        If a text or a reply is empty, two choices read the same, or not exactly one is right.
    """

    def __init__(self, stem, *choices):
        self.stem, self.choices = _text(stem, "the question"), choices
        if not 2 <= len(choices) <= MOST_CHOICES or not all(isinstance(choice, (Right, Wrong)) for choice in choices):
            raise ValueError(f"{stem!r} needs two to {MOST_CHOICES} choices, each Right(...) or Wrong(...)")
        for choice in choices:
            _text(choice.text, f"a choice of {stem!r}")
            _reply(choice.reply, f"the choice {choice.text!r}")
        rights = sum(isinstance(choice, Right) for choice in choices)
        if rights != 1:
            raise ValueError(f"{stem!r} needs exactly one Right(...), got {rights}")
        if len({choice.text for choice in choices}) != len(choices):
            raise ValueError(f"{stem!r} offers the same choice twice")

    def _repr_html_(self):
        name = _name(repr(self))
        buttons, replies = "", ""
        for i, (text, reply) in enumerate(self.choices):
            verdict = RIGHT if isinstance(self.choices[i], Right) else WRONG
            buttons += f'<input type="radio" name="{name}" id="{name}-{i}" {KEYS}>'
            buttons += f'<label for="{name}-{i}">{_html(text)}</label>'
            replies += f'<p><span class="of">{_html(text)}: </span><b>{verdict}</b> {_html(reply)}</p>'
        return (
            f'{SHEET}<div class="question" id="{name}">'
            f'<fieldset><legend class="stem">{_html(self.stem)}</legend>'
            f'{buttons}<div class="reply" role="status">{replies}</div></fieldset></div>'
        )

    def __repr__(self):
        return "\n".join([f"Question: {self.stem}", *(f"- {choice.text}" for choice in self.choices)])


class Number:
    """A question whose answer is a number that the reader types.

    Parameters
    ----------
    stem : str
        The question.
    answer : int or float
        Computed where it can be.
    right : str
        The reply to the answer: why it is right.
    wrong : dict
        Maps each number that a likely mistake gives to the reply that names the mistake.
    other : str
        The reply to every other number: how to get there.
    tolerance : float
        How far from ``answer`` still counts as right, for answers that do not come out even.

    Raises
    ------
    TypeError
        If the answer or a key of ``wrong`` is no number.
    ValueError
        If a text is empty, ``wrong`` is, or it holds the answer.
    """

    def __init__(self, stem, *, answer, right, wrong, other, tolerance=0):
        self.stem, self.answer, self.tolerance = _text(stem, "the question"), answer, tolerance
        for value in (answer, *wrong):
            if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
                raise TypeError(f"{stem!r} needs numbers as the answer and as keys of wrong, got {value!r}")
        if not wrong:
            raise ValueError(f"{stem!r} needs a reply to at least one wrong number: which mistake is likely?")
        for value in wrong:
            if abs(value - answer) <= tolerance:
                raise ValueError(f"{stem!r} has its answer, {answer}, among the wrong numbers: {value}")
        self.right, self.wrong, self.other = right, dict(wrong), other
        for which, reply in [("the right answer", right), ("every other number", other), *wrong.items()]:
            _reply(reply, f"{which} to {stem!r}")

    def _repr_html_(self):
        name = _name(repr(self))

        def reply(value, within, verdict, text):
            whole = value is not None and float(value).is_integer()
            shown = "Any other number" if value is None else f"{int(value) if whole else value:,}".replace("-", "−")
            data = "" if value is None else f' data-value="{value}" data-within="{within}"'
            return f"<li{data}>{shown}: <span><b>{verdict}</b> {_html(text)}</span></li>"

        replies = reply(self.answer, max(self.tolerance, 1e-9), RIGHT, self.right)
        replies += "".join(reply(value, 1e-9, WRONG, text) for value, text in self.wrong.items())
        replies += reply(None, None, WRONG, self.other)
        return (
            f'{SHEET}<div class="question" id="{name}">'
            f'<label class="stem" for="{name}-number">{_html(self.stem)}</label>'
            f'<div class="typed"><input id="{name}-number" inputmode="decimal" autocomplete="off" {KEYS} '
            f'onkeydown="{escape(ENTER)}">'
            f'<button type="button" {KEYS} onclick="{escape(CHECK)}">Check</button></div>'
            f'<div class="reply" role="status"><p></p></div>'
            f"<details><summary {KEYS}>The answer, and where others come from</summary>"
            f"<ul>{replies}</ul></details></div>"
        )

    def __repr__(self):
        return f"Question: {self.stem}\n- a number"


def _text(text, what):
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{what} has no text")
    return " ".join(text.split())


def _reply(reply, what):
    if not isinstance(reply, str) or not reply.strip():
        raise ValueError(f"no reply to {what}: say why it is right, or which thought leads there")
    if re.match(r"(right|not quite|wrong|correct)\b[.!:,]", reply.strip(), re.IGNORECASE):
        raise ValueError(f"the reply to {what} begins with a verdict: {RIGHT!r} or {WRONG!r} is written before it")


def _html(text):
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split())))
    return html.replace("-&gt;", '<span style="white-space:nowrap">-&gt;</span>')  # else a line may end within an arrow


def _name(content):
    return "question-" + hashlib.sha1(content.encode()).hexdigest()[:10]
