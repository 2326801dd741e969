"""The offline model judges from field names, enum values and descriptions, in any domain, and says what it could not judge."""

import json

import pytest

from hishamos.gateway.offline import extract


def ask(schema, text, instructions="", room=500):
    return extract(instructions, f"Read this.\n<text>\n{text}\n</text>", schema, room)


def field(name, schema, text, instructions=""):
    answer = ask({"type": "object", "properties": {name: schema}, "required": [name]}, text, instructions)
    return json.loads(answer.text)[name], answer.not_judged


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("I was charged twice on my credit card and want a refund of the second payment.", "billing"),
        ("My parcel has not arrived, the courier's tracking number shows nothing.", "shipping"),
        ("I forgot my password and the sign-in page does not send a code.", "account"),
        ("تم خصم المبلغ مرتين وأريد استرداد الفاتورة", "billing"),
    ],
)
def test_categories_of_another_domain(text, wanted):
    schema = {
        "enum": ["account", "billing", "shipping"],
        "description": "account: sign in and password; billing: money, invoices; shipping: delivery of parcels",
    }
    assert field("category", schema, text) == (wanted, ())


def test_a_category_that_only_its_description_explains():
    schema = {"enum": ["K1", "K2"], "description": "K1: gardens, flowers and trees; K2: trains, stations and timetables"}
    assert field("code", schema, "The train left the station an hour late.")[0] == "K2"
    assert field("code", schema, "The flowers under the old trees have dried out.")[0] == "K1"


def test_values_may_be_explained_in_the_instructions():
    told = "Sort letters.\n- A17: weddings, births and birthdays\n- B23: taxes and fines"
    assert field("shelf", {"enum": ["A17", "B23"]}, "The fine for the late taxes is due.", told)[0] == "B23"


def test_union_of_constants_is_an_enumeration():
    schema = {"oneOf": [{"const": "x", "description": "about rain and snow"}, {"const": "y", "description": "about football"}]}
    assert field("topic", schema, "Snow fell all night, then rain.")[0] == "x"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The server crashes at each start and all orders are lost.", "critical"),
        ("Typo: 'recieve' in the footer.", "low"),
        ("يتعطل التطبيق وضاعت كل البيانات", "critical"),
    ],
)
def test_a_scale_without_descriptions(text, wanted):
    assert field("priority", {"enum": ["low", "medium", "high", "critical"]}, text)[0] == wanted


def test_sentiment():
    schema = {"enum": ["positive", "neutral", "negative"]}
    assert field("sentiment", schema, "Great service, I love it, thank you!")[0] == "positive"
    assert field("sentiment", schema, "Terrible. The worst I have seen, useless.")[0] == "negative"


@pytest.mark.parametrize(
    "text", ["asdf jkl asdf", "test test 123", "!!! ???", "xxxxxxx", "Win a free prize now, click www.example.com, limited offer", "تجربة تجربة"]
)
def test_nonsense_in_either_polarity(text):
    assert field("is_report", {"type": "boolean", "description": "false for spam, a test or gibberish"}, text) == (False, ())
    assert field("spam", {"type": "boolean"}, text) == (True, ())


@pytest.mark.parametrize(
    "text", ["Crashes.", "Free disk space is shown wrong, click on the offer list fails", "لا يعمل الزر", "Test suite fails on ARM since 2.1", "Login 500"]
)
def test_short_real_reports_are_no_nonsense(text):
    assert field("is_report", {"type": "boolean", "description": "false for spam, a test or gibberish"}, text)[0] is True


def test_statements():
    assert field("reproducible", {"type": "boolean"}, "It happens every time I save.") == (True, ())
    assert field("reproducible", {"type": "boolean"}, "Only once, I could not reproduce it.") == (False, ())
    assert field("mentions_refund", {"type": "boolean"}, "I want a refund.")[0] is True
    assert field("mentions_refund", {"type": "boolean"}, "All is well.")[0] is False


def test_numbers_and_dates():
    text = "Invoice of 12 March 2026: 3 licences, total 1,250.50 EUR, 19 % tax."
    assert field("total", {"type": "number"}, text)[0] == 1250.5
    assert field("licences", {"type": "integer"}, text)[0] == 3
    assert field("date", {"type": "string", "format": "date"}, text)[0] == "2026-03-12"
    assert field("total", {"type": "number", "maximum": 100}, text) == (0, ("total",))


def test_labelled_and_patterned_texts():
    text = "Version: 4.2.1\nTicket ABC-1234 was closed."
    assert field("version", {"type": "string"}, text)[0] == "4.2.1"
    assert field("ticket", {"type": "string", "pattern": "^[A-Z]{2,4}-[0-9]+$"}, text)[0] == "ABC-1234"


def test_what_cannot_be_judged_is_told_and_holds_the_agreed_value():
    schema = {
        "type": "object",
        "required": ["mood_of_moon", "shoe_size", "hue", "flag", "maybe", "confidence"],
        "properties": {
            "mood_of_moon": {"type": "string"},
            "shoe_size": {"type": "integer", "default": 42},
            "hue": {"enum": ["ochre", "teal"]},
            "flag": {"type": "boolean"},
            "maybe": {"type": ["integer", "null"]},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        },
    }
    answer = ask(schema, "The door squeaks.")
    assert json.loads(answer.text) == {"mood_of_moon": "not judged offline", "shoe_size": 42, "hue": "ochre", "flag": False, "maybe": None, "confidence": 0}
    assert answer.not_judged == ("mood_of_moon", "shoe_size", "hue", "flag", "maybe", "confidence")


def test_items_of_records_are_copied_and_named_by_place():
    data = [{"id": "A", "title": "first", "score": 1}, {"id": "B", "title": "second", "score": 9}, {"id": "C", "title": "third", "score": 5}]
    schema = {
        "type": "object",
        "properties": {
            "top": {
                "type": "array",
                "description": "the two best",
                "maxItems": 2,
                "items": {"type": "object", "required": ["id", "confidence"], "properties": {"id": {"type": "string"}, "confidence": {"type": "number"}}},
            }
        },
    }
    answer = extract("", "Rank these.\n" + json.dumps(data), schema, 500)
    assert json.loads(answer.text) == {"top": [{"id": "B", "confidence": 0}, {"id": "C", "confidence": 0}]}
    assert answer.not_judged == ("top[0].confidence", "top[1].confidence")


def test_a_scrap_of_json_inside_a_report_is_text():
    schema = {"type": "object", "properties": {"severity": {"enum": ["blocker", "major", "minor", "trivial"]}}}
    text = 'POST answers {"severity": "trivial"} and then the app crashes and all data is lost.'
    assert json.loads(ask(schema, text).text)["severity"] == "blocker"


def test_labels_and_lines():
    text = "Plan\n- buy paint\n- ask the landlord\n- paint the wall"
    schema = {"type": "array", "items": {"type": "string"}, "maxItems": 2}
    assert field("steps", schema, text)[0] == ["buy paint", "ask the landlord"]
    areas = {"type": "array", "items": {"enum": ["billing", "shipping", "security"]}}
    assert field("areas", areas, "My invoice is wrong and the parcel was delivered to a neighbour.")[0] == ["billing", "shipping"]


def test_answer_stays_within_its_limit():
    text = " ".join(f"Sentence number {n} tells of the export that fails." for n in range(120))
    schema = {
        "type": "object",
        "properties": {"summary": {"type": "string"}, "body": {"type": "string"}, "quotes": {"type": "array", "items": {"type": "string"}}},
    }
    for tokens in (50, 200, 1000):
        assert len(ask(schema, text, room=tokens).text) <= 4 * tokens
        assert len(extract("", f"<t>{text}</t>", None, tokens).text) <= 4 * tokens
