"""Words, sentences and concepts in English and Arabic."""

import unicodedata

import pytest

from hishamos.text.concepts import concepts, named, strengths
from hishamos.text.nonsense import LIMIT, gibberish, nonsense
from hishamos.text.sentences import bullets, ranked, sentences
from hishamos.text.similarity import Vectors, likeness, word_terms
from hishamos.text.words import name_words, normalise, stem, stems, words


@pytest.mark.parametrize(("one", "other"), [("الإِعْدَادَات", "الاعدادات"), ("مكتبة", "مكتبه"), ("مستشفى", "مستشفي"), ("ســلام", "سلام")])
def test_arabic_has_one_form(one, other):
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"), [("الملاحظات", "ملاحظة"), ("بالمزامنة", "مزامنة"), ("crashes", "crash"), ("stopped", "stop"), ("copies", "copy"), ("saving", "save")]
)
def test_forms_of_a_word_share_a_stem(one, other):
    assert stems(one) == stems(other)


def test_contractions_and_names():
    assert words("It can't, won't and doesn’t") == ["it", "can", "not", "will", "not", "and", "does", "not"]
    assert name_words("isReport_of-day2") == ["is", "report", "of", "day2"]
    assert stem("500") == "500"


def test_sentences_and_bullets():
    assert sentences("One. Two!\n- three? نعم؟ أربعة.") == ["One.", "Two!", "three?", "نعم؟", "أربعة."]
    assert bullets("Plan:\n- a\n2) b\nc") == ["a", "b"]


def test_the_central_sentence_comes_first():
    parts = ["The cat slept.", "The night train was cancelled.", "Passengers of the night train waited.", "The cancelled train left passengers waiting."]
    assert ranked(parts)[-1] == 0
    assert ranked(parts, "cat")[0] == 0
    assert ranked([]) == []
    assert ranked(["only"]) == [0]


def test_similarity():
    vectors = Vectors([word_terms("red apple pie"), word_terms("apple pies, red"), word_terms("steam engine")])
    assert vectors.cosine(0, 1) == pytest.approx(1)
    assert vectors.cosine(0, 2) == 0
    assert list(vectors.candidates(2)) == [(0, 1)]
    assert likeness("", "a") == 0
    assert likeness("synchronise", "synchronisation") > 0.2


def test_every_concept_is_found_by_each_of_its_cues_language():
    assert len(concepts()) > 20
    assert set(strengths("The app crashed and my notes are lost")) >= {"crash", "data_loss"}
    assert set(strengths("يتعطل التطبيق وفقدت الملفات")) >= {"crash", "data_loss"}
    assert "data_loss" not in strengths("nothing was lost")
    assert named("false for spam or gibberish")["nonsense"] == 1
    assert strengths("") == {}


@pytest.mark.parametrize("word", ["asdf", "xxxxxx", "qwerty", "zxcvb", "شسيب", "bcdfgh"])
def test_gibberish(word):
    assert gibberish(word)


@pytest.mark.parametrize("word", ["rhythm", "strength", "https", "screen", "الاعدادات", "property", "width"])
def test_real_words(word):
    assert not gibberish(word)


def test_nonsense_needs_more_than_one_word_of_it():
    assert nonsense("") == 1
    assert nonsense("The test button on the settings page does nothing when I click it") < LIMIT


@pytest.mark.timeout(60)  # a quarter of a second; where the time is quadratic, hours
def test_marks_piled_on_one_letter_are_normalised_at_once():
    assert words("cafe\u0301 e" + "\u0323\u0301" * 500_000 + " end")[::2] == ["café", "end"]


@pytest.mark.parametrize("text", ["e\u0301\u0323 " * 40, "😀" * 100, "—" * 70 + "é", "e" + "\u0323\u0301" * 15, "ｶﾞ" * 50])
def test_what_a_language_writes_is_normalised_as_a_whole(text):
    assert normalise(text) == unicodedata.normalize("NFKC", text).casefold()
