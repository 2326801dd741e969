"""Pictures of graphs: boxes that do not overlap, words for every state, and no text that is more than text."""

from __future__ import annotations

import random
import struct
from xml.etree import ElementTree

import pytest

from hishamos.charts.arrangement import Box, arrange
from hishamos.charts.boxes import fitting, text_width
from hishamos.charts.pictures import graph_picture
from hishamos.records.pictures import Graph, GraphPart, GraphStep

SVG = "{http://www.w3.org/2000/svg}"
EVIL = '"]:::x --> <script>alert(1)</script>&`#quot;'


def step(id: str, type: str = "command", **facts) -> GraphStep:
    return GraphStep(id=id, type=type, **facts)


def graph(*steps: GraphStep, **facts) -> Graph:
    return Graph(name="flow", version="1", steps=steps, **facts)


def chain(number: int) -> Graph:
    return graph(*(step(f"s{one}", subject="classify_bug", after=(f"s{one - 1}",) if one else ()) for one in range(number)))


def drawn(shown: Graph, ground="light", *, narrow: bool = False) -> ElementTree.Element:
    return ElementTree.fromstring(graph_picture(shown, "svg", ground, narrow=narrow).data)


def frames(root: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    """The outermost frame of each box: left, top, right, bottom."""
    found = []
    for group in root.findall(f"{SVG}g"):
        x, y = (float(part) for part in group.get("transform", "").removeprefix("translate(").removesuffix(")").split())
        sides = [
            (float(one.get("x", 0)) + float(one.get("width", 0)), float(one.get("y", 0)) + float(one.get("height", 0))) for one in group.findall(f"{SVG}rect")
        ]
        found.append((x, y, x + max(side[0] for side in sides), y + max(side[1] for side in sides)))
    return found


def apart(boxes: list[tuple[float, float, float, float]]) -> bool:
    return all(
        a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1] for number, a in enumerate(boxes) for b in boxes[number + 1 :]
    )  # fmt: skip


def tangled(seed: int, number: int) -> Graph:
    chance = random.Random(seed)
    return graph(
        *(
            step(
                f"step_{one}",
                chance.choice(["command", "map", "switch"]),
                subject="x" * chance.randrange(90),
                after=tuple({f"step_{chance.randrange(one)}" for _ in range(chance.randrange(3))}) if one else (),
                many=chance.random() < 0.2,
                state=chance.choice([None, "succeeded", "failed", "pending"]),
                parts=tuple(GraphPart(role="case", type="command", subject="y") for _ in range(chance.randrange(9))),
                when="inputs.a == 1" if chance.random() < 0.2 else None,
            )
            for one in range(number)
        )
    )


@pytest.mark.parametrize("number", [1, 3, 12, 40])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("narrow", [False, True])
def test_boxes_stand_apart_and_within_the_sheet(narrow, seed, number):
    root = drawn(tangled(seed, number), narrow=narrow)
    boxes = frames(root)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    assert len(boxes) == number
    assert apart(boxes)
    assert all(left >= 0 and top >= 0 and right <= width and bottom <= height for left, top, right, bottom in boxes)


def test_a_step_stands_behind_those_it_waits_for():
    found = arrange([Box("a", 40, 100), Box("b", 40, 100, ("a",)), Box("c", 40, 100, ("b", "a")), Box("d", 40, 100)], between=30, beside=20)
    layers = {name: box.layer for name, box in found.boxes.items()}
    assert layers == {"a": 0, "b": 1, "c": 2, "d": 0}
    assert len(found.lines["a", "c"]) == 1  # it passes the layer of b, where it has a place of its own
    assert abs(found.lines["a", "c"][0][1] - found.boxes["b"].across) > 50


def test_few_steps_lie_along_the_page_and_many_stand_in_columns():
    three, forty = drawn(chain(3)), drawn(chain(40))
    assert float(three.get("height", 0)) < 100 < float(three.get("width", 0)) < 900
    assert len({left for left, *_ in frames(forty)}) == 5
    assert float(forty.get("height", 0)) < 800


def test_every_state_has_sign_word_and_colour():
    states = ["pending", "running", "waiting", "succeeded", "failed", "timed_out", "skipped", "cancelled"]
    shown = graph(*(step(f"s{number}", state=state) for number, state in enumerate(states)), run="R", state="running")
    root = drawn(shown)
    words = [" ".join(text.text or "" for text in group.iter(f"{SVG}text")) for group in root.findall(f"{SVG}g")]
    signs = [group.find(f"{SVG}g") for group in root.findall(f"{SVG}g")]
    assert all(state.replace("_", " ") in told for state, told in zip(states, words, strict=True))
    assert all(sign is not None and len(sign) for sign in signs)
    text = graph_picture(shown, "text").text
    assert all(state.replace("_", " ") in text for state in states)
    assert ":::failed" in graph_picture(shown, "mermaid").text


def test_a_map_tells_how_far_it_is_and_what_failed():
    shown = graph(step("classify", "map", many=True, state="running", done=40, total=66, failed=2, cost_nanos=39_100_000, attempts=41, seconds=33.2), run="R")
    for kind in ("svg", "mermaid", "text"):
        told = graph_picture(shown, kind).text
        assert "40/66" in told
        assert "2 failed" in told
        assert "0.0391 USD" in told
    until = graph(step("again", "loop", many=True, state="running", done=3), run="R")
    assert " 3 " in graph_picture(until, "text").text.replace("  ", " ")


def test_an_unpriced_step_and_an_offline_one_say_so():
    shown = graph(
        step("a", state="succeeded", attempts=1, unpriced=True, cost_nanos=None), step("b", state="succeeded", attempts=1, offline=True, cost_nanos=0)
    )
    text = graph_picture(shown.model_copy(update={"offline": True, "run": "R", "state": "succeeded"}), "text").text
    assert "unpriced" in text.splitlines()[0]
    assert "offline model" in text.splitlines()[1]
    assert "0 USD" not in text
    assert text.splitlines()[-1] == "⌁ offline model, not a real answer"
    assert "not a real answer" in graph_picture(shown.model_copy(update={"offline": True}), "svg").text


def test_a_jump_is_dashed_and_says_how_often():
    root = drawn(graph(step("draft"), step("review", after=("draft",), goto="draft", at_most=3)))
    dashed = [path for path in root.findall(f"{SVG}path") if path.get("stroke-dasharray")]
    assert len(dashed) == 1
    assert "on error, at most 3" in ElementTree.tostring(root, encoding="unicode")
    assert '-. "on error, at most 3" .->' in graph_picture(graph(step("draft"), step("review", after=("draft",), goto="draft", at_most=3)), "mermaid").text


@pytest.mark.parametrize("format", ["svg", "mermaid"])
def test_texts_from_definitions_are_nothing_but_text(format):
    shown = graph(step("a", subject=EVIL, when=EVIL, note=EVIL, state="failed", description=EVIL, parts=(GraphPart(role=EVIL, type="x", subject=EVIL),)))
    told = graph_picture(shown.model_copy(update={"name": EVIL}), format).text
    assert "<script" not in told
    if format == "svg":
        ElementTree.fromstring(told)
    else:
        quoted = [line for line in told.splitlines() if line.strip().startswith("s0")]
        assert len(quoted) == 1
        assert quoted[0].count('"') == 2


def test_names_of_any_length_and_script_have_room():
    root = drawn(graph(step("a" * 300, subject="漢字" * 50), step("b", "switch", parts=(GraphPart(role="حرج جداً", type="command", subject="تصنيف البلاغات"),))))
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert any(text.endswith("…") for text in texts)
    assert any("حرج جداً" in text for text in texts)
    assert float(root.get("width", 0)) < 900
    assert text_width(fitting("漢字" * 50, 12, 200), 12) <= 200


def test_a_png_is_as_large_as_it_says_twice():
    picture = graph_picture(chain(3), "png")
    assert picture.data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture.data[16:24])
    assert (width, height) == (2 * (picture.width or 0), 2 * (picture.height or 0))
    assert "s0 (command)" in picture.words


def test_colours_follow_the_ground():
    light, dark = (graph_picture(chain(2), "svg", ground).text for ground in ("light", "dark"))
    assert "#FCFBF8" in light
    assert "#FCFBF8" not in dark
    assert "#181E1C" in dark


def ends(root: ElementTree.Element, colour: str) -> list[tuple[float, float]]:
    """The tips of all arrows of a colour."""
    heads = [path.get("d", "") for path in root.findall(f"{SVG}path") if path.get("fill") == colour]
    return [(float(x), float(y)) for x, y in (head[1:].partition("L")[0].split() for head in heads)]


@pytest.mark.parametrize("number", [1, 12, 40])
@pytest.mark.parametrize("seed", range(4))
def test_a_narrow_picture_is_one_column_that_a_phone_shows_in_its_own_size(seed, number):
    boxes = sorted(frames(drawn(tangled(seed, number), narrow=True)), key=lambda box: box[1])
    assert len({left for left, *_ in boxes}) == 1
    assert max(right for _, _, right, _ in boxes) <= 340
    assert graph_picture(tangled(seed, number), narrow=True).width <= 340 or boxes[0][2] - boxes[0][0] <= 185  # a box is never too small to read


def test_a_narrow_picture_has_an_arrow_for_each_line_and_follows_a_branch_to_its_end():
    shown = graph(
        step("a"), step("b1", after=("a",)), step("c1", after=("a",)), step("b2", after=("b1",)), step("c2", after=("c1",)), step("d", after=("b2", "c2"))
    )
    root = drawn(shown, narrow=True)
    names = [group.find(f"{SVG}text").text for group in root.findall(f"{SVG}g")]
    assert names == ["a", "b1", "b2", "c1", "c2", "d"]
    tips = ends(root, "#8C887E")
    boxes = frames(root)
    left = [number for number, box in enumerate(boxes) if any(abs(x - box[0] + 1) < 0.2 and box[1] < y < box[3] for x, y in tips)]
    above = [number for number, box in enumerate(boxes) if any(abs(y - box[1] + 1) < 0.2 and box[0] < x < box[2] for x, y in tips)]
    assert len(tips) == 6
    assert ([names[number] for number in left], [names[number] for number in above]) == (["c1", "d"], ["b1", "b2", "c2", "d"])


def test_many_branches_share_two_lanes_in_a_narrow_picture():
    middle = [step(f"s{number}", after=("first",)) for number in range(30)]
    root = drawn(graph(step("first"), *middle, step("last", after=tuple(one.id for one in middle))), narrow=True)
    lanes = [path.get("d", "") for path in root.findall(f"{SVG}path") if "Q" in path.get("d", "")]
    assert len(lanes) == 2
    assert frames(root)[0][0] < 32
    assert len(ends(root, "#8C887E")) == 1 + 29 + 1 + 1  # down to the first, aside to the others, aside and down to the last


def test_a_narrow_picture_says_in_the_box_where_the_run_jumps_to_and_leads_there():
    shown = graph(
        step("draft", many=True),
        step("review", after=("draft",), goto="draft", at_most=3),
        step("fix", after=("review",), goto="end"),
        step("end", after=("fix",)),
    )
    root = drawn(shown, narrow=True)
    dashed = [path for path in root.findall(f"{SVG}path") if path.get("stroke-dasharray")]
    told = ElementTree.tostring(root, encoding="unicode")
    boxes = frames(root)
    assert len(dashed) == 2
    assert "on error, at most 3 → draft" in told
    assert "on error → end" in told
    for box in (boxes[0], boxes[3]):  # "draft" and "end"
        assert any(abs(x - box[2] - 1) < 0.8 and box[1] < y < box[3] for x, y in ends(root, "#DC2626"))
    assert "→ draft" not in graph_picture(shown).text


def test_what_is_cut_ends_with_one_ellipsis():
    assert fitting("steps.score.output.groups", 11.5, text_width("steps.score.output.…", 11.5)) == "steps.score.output…"
