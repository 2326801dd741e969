"""A workflow's text: read as it was written, edited, checked line by line, saved as the next version, and never over what somebody else wrote."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import streamlit as st

from hishamos.charts.formats import some
from hishamos.errors import HishamosError, InvalidDefinition, InvalidInput, StaleWrite, UnknownName, sentences
from hishamos.records.checks import Mistake, StoredDefinition
from hishamos.records.definitions import WorkflowDefinition
from parts.connection import workspace
from parts.graphs import drawn_graph
from parts.plain import plain
from parts.states import choose
from parts.style import theme

YAML = "YAML"
HEIGHT, MOST, LONGEST = 520, 30, 200
"""Pixels of the field, mistakes that are told at once, and characters of a line that is quoted."""
BEGUN, TYPED, FIELD, OUTCOME = "text begun", "text typed", "text field", "text outcome"
"""What the page remembers of a workflow's text: what was there when somebody began to type, what is typed, the field's own, what became of a save."""


def unsaved() -> list[str]:
    """Return the workflows whose texts were changed here and not saved; they may be gone from the workspace meanwhile."""
    begun = {key.removeprefix(f"{BEGUN} "): one for key, one in st.session_state.items() if isinstance(key, str) and key.startswith(f"{BEGUN} ")}
    return [name for name, one in begun.items() if _typed(name) not in {None, one.text}]


def workflow_text(name: str) -> None:
    """Draw the text of a workflow, what can be done with it, and beside it its graph or what is wrong with it."""
    now, begun = _stored(name), _begun(name)
    if begun is None or _typed(name) == begun.text:  # nothing was typed: it is what is there now
        begun = _begin(name, now)
    elif f"{FIELD} {name}" not in st.session_state:  # Streamlit forgets a field that was not drawn
        st.session_state[f"{FIELD} {name}"] = _typed(name)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        with st.container(key="definition-text"):
            typed = st.text_area(f"Text of {name}", key=f"{FIELD} {name}", height=HEIGHT, label_visibility="collapsed")
        st.session_state[f"{TYPED} {name}"] = typed
        st.caption(plain(_what(begun)))
        with st.container(horizontal=True):
            st.button("Save", type="primary", on_click=_save, args=(name,))
            checks = st.button("Check", help="Says every mistake with its line, and draws the graph of what is typed; saves nothing")
            if typed != begun.text:
                st.button("Drop what I typed", type="tertiary", on_click=_begin, args=(name, now))
    with right:
        refused = _told(st.session_state.pop(f"{OUTCOME} {name}", None), name, typed)
        if now.text != begun.text:
            _meanwhile(name, begun, now, said=refused)
        elif checks or (typed == begun.text and not refused):
            _check(typed, begun, said=checks)
        elif not refused:
            st.caption("Not saved yet. Check says every mistake with its line, and draws the graph of what is typed.")


def _what(stored: StoredDefinition) -> str:
    if stored.version is None:
        return f"Ships with HishamOS. Saved, it becomes the workspace's own: {_file(stored)}"
    return f"{stored.file} · version {stored.version}"


def _file(stored: StoredDefinition) -> str:
    return f"workflows/{stored.name}.yaml" if stored.version is None else stored.file


def _check(text: str, stored: StoredDefinition, *, said: bool) -> None:
    try:
        found = workspace().workflows.check(text, file=_file(stored))
    except InvalidDefinition as error:
        _mistakes(error, text)
        return
    if said:
        then = "" if text == stored.text else f" Saved, it is {found.name}, version {found.version}."
        st.success(plain(f"No mistake.{then}"), icon=":material/check:")
    picture = workspace().workflows.picture(found, ground=theme(), narrow=True)
    drawn_graph(picture, lambda: picture)


def _mistakes(error: InvalidDefinition, text: str, *, saving: bool = False) -> None:
    """Say every mistake with its line, and quote that: a field has no numbers of lines."""
    found: Sequence[Mistake] = [Mistake(**one) for one in error.facts.get("mistakes", ())]
    st.error(f"{some(len(found), 'mistake')}." + (" Nothing was saved." if saving else ""), icon=":material/error:")
    lines = text.split("\n")
    for one in found[:MOST]:
        with st.container(border=True, gap="xsmall"):
            st.markdown(plain(" · ".join(part for part in (f"Line {one.line or 1}", one.place) if part)))
            quoted = lines[(one.line or 1) - 1] if (one.line or 1) <= len(lines) else ""
            if quoted.strip():
                st.code(quoted if len(quoted) <= LONGEST else quoted[:LONGEST] + "…", language=None, wrap_lines=True)
            st.text(sentences(f"{one.problem[:1].upper()}{one.problem[1:]}. {one.next}"))
    if len(found) > MOST:
        st.caption(f"The first {MOST}. Mend these, then check again.")


def _meanwhile(name: str, begun: StoredDefinition, now: StoredDefinition, *, said: bool) -> None:
    """Show what somebody else changed since the typing began, and what can become of it; ``said``: a refusal has told already that it was."""
    if not said:
        st.warning(plain(f"{_file(begun)} was changed meanwhile."), icon=":material/sync_problem:")
    st.caption("What you typed still stands in the field. Changed in the file since you began:")
    lines = list(difflib.unified_diff(begun.text.splitlines(), now.text.splitlines(), lineterm=""))
    st.code("\n".join(lines[2:]) or "Only ends of lines.", language="diff", wrap_lines=True)
    with st.container(horizontal=True):
        st.button("Keep what I typed", help="Save then replaces what is there now", on_click=_rebase, args=(name, now))
        st.button("Take what is there", help="What you typed is dropped", on_click=_begin, args=(name, now))


def _told(outcome: HishamosError | StoredDefinition | None, name: str, text: str) -> bool:
    """Say what became of a save; return whether it was refused."""
    if isinstance(outcome, InvalidDefinition):
        _mistakes(outcome, text, saving=True)
    elif isinstance(outcome, HishamosError):
        st.error(plain(str(outcome)), icon=":material/error:")
    elif outcome is not None:
        kept = "" if outcome.name == name else f" {name} stays as it was."
        st.success(plain(f"Saved: {outcome.file}, version {outcome.version}.{kept}"), icon=":material/check:")
        if outcome.name != name:
            st.button(f"Open {outcome.name}", on_click=choose, args=("workflow", outcome.name))
    return isinstance(outcome, HishamosError)


def _save(name: str) -> None:
    """Save what is typed; what is refused stays in the field."""
    text, begun = str(_typed(name)), _begun(name)
    assert begun is not None
    try:
        definition = workspace().workflows.check(text, file=_file(begun))
        saved = _saved(definition, text, begun)
    except HishamosError as error:
        st.session_state[f"{OUTCOME} {name}"] = error
        return
    _begin(name, _stored(name))
    st.session_state[f"tabs of {name}"] = YAML
    st.session_state[f"{OUTCOME} {name}"] = _stored(saved.name)


def _saved(definition: WorkflowDefinition, text: str, begun: StoredDefinition) -> WorkflowDefinition:
    if definition.name == begun.name:
        now = _stored(begun.name)
        if now.text != begun.text:
            raise StaleWrite(kind="workflow", name=begun.name, yours=begun.version or "as shipped", current=now.version or "none")
        return workspace().workflows.save(text, version=begun.version)
    try:
        return workspace().workflows.save(text)
    except StaleWrite as error:
        what, following = f"the workspace has a workflow {definition.name} already", "Choose another name, or change that workflow where it stands."
        raise InvalidInput(what=what, where="name", next=following) from error


def _stored(name: str) -> StoredDefinition:
    """Return what is there now; nothing where the workflow is gone."""
    try:
        return workspace().definitions.text("workflow", name)
    except UnknownName:
        return StoredDefinition(kind="workflow", name=name, file=f"workflows/{name}.yaml", text="")


def _begun(name: str) -> StoredDefinition | None:
    found: StoredDefinition | None = st.session_state.get(f"{BEGUN} {name}")
    return found


def _typed(name: str) -> str | None:
    found: str | None = st.session_state.get(f"{FIELD} {name}", st.session_state.get(f"{TYPED} {name}"))
    return found


def _begin(name: str, stored: StoredDefinition) -> StoredDefinition:
    """Begin with what is there."""
    st.session_state[f"{BEGUN} {name}"] = stored
    st.session_state[f"{TYPED} {name}"] = st.session_state[f"{FIELD} {name}"] = stored.text
    return stored


def _rebase(name: str, stored: StoredDefinition) -> None:
    """Go on with what is typed, as a change of what is there now."""
    st.session_state[f"{BEGUN} {name}"] = stored
