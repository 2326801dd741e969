"""A receipt says everything in plain words, as text and as HTML, and stands at the end of the notebook once."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import nbformat

from hishamos.charts.receipt_lines import MOST, receipt_html, receipt_text
from hishamos.kernels.receipt_cell import put_receipt
from hishamos.records.receipts import InputFile, Receipt, ReceiptRun, ServedModel, UsedDefinition

MOMENT = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
FULL = Receipt(
    execution="7F3K7F3K7F3K7F3K",
    hishamos="0.1.0",
    notebook="notebooks/<b>report.ipynb",
    notebook_hash="ab" * 32,
    parameters_hash="cd" * 32,
    git_commit="0123456789" * 4,
    dirty=True,
    definitions=(UsedDefinition(kind="command", name="classify_bug", version="a1b2c3"), UsedDefinition(kind="agent", name="helper")),
    files=(InputFile(path="/tmp/bugs.csv", sha256="ef" * 32, bytes=12),),
    requests_hash="99" * 32,
    models=(
        ServedModel(model="offline/extractive", attempts=2, succeeded=2),
        ServedModel(model="openai/gpt-4.1-mini", attempts=3, succeeded=2, input_tokens=1200, output_tokens=30, cost_nanos=1_234_567, unpriced=1),
    ),
    runs=tuple(
        ReceiptRun(id=f"RUN{number}", kind="workflow", name="flow", version="v", state="succeeded", inputs_hash="12" * 32) for number in range(MOST + 3)
    ),
    calls=4,
    orphaned=1,
    made_at=MOMENT,
)


def test_everything_is_said_in_words():
    text = receipt_text(FULL)
    for words in (
        "notebooks/<b>report.ipynb  sha256 abababababab",
        "parameters sha256 cdcdcdcdcdcd",
        "HishamOS 0.1.0, git commit 012345678901, with changes that are not committed",
        "0.001234567 USD, 4 calls, 5 attempts, 1,200 tokens in, 30 out, 1 unpriced, 1 orphaned, may be billed twice",
        "offline/extractive: 2 of 2 attempts succeeded; ⌁ offline model, not a real answer",
        "openai/gpt-4.1-mini: 2 of 3 attempts succeeded, 1,200 tokens in, 30 out, 0.001234567 USD + 1 unpriced",
        "command classify_bug@a1b2c3",
        "agent helper@?",
        "/tmp/bugs.csv  sha256 efefefefefef",
        "RUN0  flow  ✓ succeeded  inputs 121212121212",
        "and 3 more",
        "7F3K7F3K7F3K7F3K, receipt made 23 Nov 14:05 UTC",
    ):
        assert words in text, words


def test_html_is_inert_and_holds_the_whole_hashes():
    markup = receipt_html(FULL)
    assert "<b>report" not in markup
    assert "&lt;b&gt;report" in markup
    assert f'title="{"ab" * 32}"' in markup
    assert not {"<script", "http://", "https://", "src="} & {sign for sign in ("<script", "http://", "https://", "src=") if sign in markup}


def test_what_is_not_known_is_not_invented():
    text = receipt_text(Receipt(execution="7F3K7F3K", hishamos="0.1.0", made_at=MOMENT))
    assert text.splitlines()[1:4] == ["notebook   –", "code       HishamOS 0.1.0, not in git", "spend      no model was asked, 0 USD"]
    assert "None" not in text


def test_a_notebook_ends_in_one_receipt_and_stays_valid(tmp_path):
    file = tmp_path / "made.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), file)
    put_receipt(file, FULL)
    put_receipt(file, FULL.model_copy(update={"execution": "SECONDSECOND"}))
    book = nbformat.read(file, as_version=4)
    nbformat.validate(book)
    assert [cell.cell_type for cell in book.cells] == ["code", "code"]
    assert "SECONDSECOND" in json.dumps(book.cells[-1])
    assert "7F3K" not in json.dumps(book)
