"""What a file is, by its bytes; what is refused before any money is spent."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hishamos.errors import FileChanged, InvalidInput
from hishamos.media.looking import look
from hishamos.media.reading import read
from tests.rigs.pictures import image, pdf, put


@pytest.mark.parametrize(
    ("kind", "name", "media"),
    [
        ("PNG", "a.png", "image/png"),
        ("JPEG", "a.jpg", "image/jpeg"),
        ("GIF", "a.gif", "image/gif"),
        ("WEBP", "a.webp", "image/webp"),
        ("PNG", "a.txt", "image/png"),
    ],
)
def test_images_are_known_by_their_bytes(tmp_path: Path, kind: str, name: str, media: str):
    data = image(kind, (40, 30))
    found = look(put(tmp_path, name, data), "here")
    assert (found.media, found.width, found.height, found.size, found.pages) == (media, 40, 30, len(data), None)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert (found.name, found.image) == (name, True)
    assert read(found) == data


def test_pdfs_have_pages_and_texts_are_utf_8(tmp_path: Path):
    found = look(put(tmp_path, "a.bin", pdf(3)), "here")
    assert (found.media, found.pages, found.word) == ("application/pdf", 3, "PDF")
    text = look(put(tmp_path, "a.csv", "id,título\n1,القاهرة\n".encode()), "here")
    assert (text.media, text.image, text.word) == ("text/plain", False, "text")


JPEG = image("JPEG", (400, 300))


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.png", b"", "is empty"),
        ("cut.png", image("PNG", (400, 300))[:-20], "cut off"),
        ("middle.png", image("PNG").replace(b"IDAT", b"IDAX"), "cut off or damaged"),
        ("cut.jpg", JPEG[: len(JPEG) // 2], "cut off"),
        ("cut.gif", image("GIF", (400, 300))[:-9], "cut off"),
        ("cut.webp", image("WEBP", (400, 300))[:-9], "cut off"),
        ("head.png", b"\x89PNG\r\n\x1a\n", "cut off or damaged"),
        ("moving.gif", image("GIF", frames=3), "animated"),
        ("moving.webp", image("WEBP", frames=3), "animated"),
        ("moving.png", image("PNG", frames=3), "animated"),
        ("page.png", b"<!doctype html><p>404</p>", "nothing that can be sent.*PNG, JPEG, GIF or WebP"),
        ("photo.heic", b"\0\0\0\x18ftypheic\0\0", "nothing that can be sent"),
        ("letter.docx", b"PK\x03\x04\0\0", "nothing that can be sent"),
        ("latin.txt", "Größe".encode("latin-1"), "nothing that can be sent"),
        ("cut.pdf", pdf(2)[:200], "the PDF has no end"),
        ("broken.pdf", b"%PDF-1.7\n%%EOF\n", "PDF"),
        ("secret.pdf", pdf(password="x"), "encrypted"),
    ],
)
def test_what_no_provider_reads_is_refused(tmp_path: Path, name: str, data: bytes, words: str):
    path = put(tmp_path, name, data)
    with pytest.raises(InvalidInput, match=words) as refused:
        look(path, "the parameter 'photo' of the command see")
    assert str(path) in str(refused.value)
    assert "the parameter 'photo' of the command see" in str(refused.value)
    assert "Nothing was sent." in str(refused.value)


def test_large_files_are_refused_by_their_size_alone(tmp_path: Path):
    path = tmp_path / "huge.png"
    with path.open("wb") as stream:
        stream.write(image())
        stream.truncate(50 * 1024 * 1024)
    with pytest.raises(InvalidInput, match=r"has 52\.4 MB, and no file of more than 50 MB"):
        look(path, "here")
    with path.open("r+b") as stream:
        stream.truncate(21_000_000)
    with pytest.raises(InvalidInput, match=r"has 21\.0 MB, and no image of more than 20 MB"):
        look(path, "here")


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 500)
    with pytest.raises(InvalidInput, match="too many pixels"):
        look(put(tmp_path, "bomb.png", image(size=(40, 30))), "here")


def test_missing_files_and_folders_are_named(tmp_path: Path):
    for path, words in ((tmp_path / "no.png", "does not exist"), (tmp_path, "is a folder"), (Path("\0"), "can't be read")):
        with pytest.raises(InvalidInput, match=words):
            look(path, "here")


def test_a_file_that_changed_or_went_is_not_sent(tmp_path: Path):
    path = put(tmp_path, "a.png", image())
    found = look(path, "here")
    path.write_bytes(image(colour="blue"))
    with pytest.raises(FileChanged, match=r"a\.png has changed since"):
        read(found)
    path.unlink()
    with pytest.raises(FileChanged, match="is gone since"):
        read(found)
    path.mkdir()
    with pytest.raises(FileChanged, match="can't be read any more"):
        read(found)
