"""Severities of faults in other products: mail, shops, games, banks. These phrases were used to tune the vocabulary; this keeps what was gained."""

import pytest

from hishamos.gateway.offline.judgement import choose
from hishamos.gateway.offline.material import Material

MEANINGS = {
    "blocker": "the app crashes or does not start, data is lost or damaged, nobody can sign in, or there is a security hole",
    "major": "an important function is broken, fails or gives wrong results, and there is no reasonable way around it",
    "minor": "an inconvenience, something small that is wrong, or a fault with a workaround",
    "trivial": "cosmetic only, such as a typo, wording, a colour or an icon",
}

PHRASES = {
    "blocker": """
Mail client deletes the whole inbox when the archive folder is renamed
Payment goes through twice and the order is gone
App dies on launch on every iPhone since the update
The database is damaged after a power cut and cannot be opened
Anyone who guesses the number in the URL sees the invoices of other customers
Saving overwrites the original photo with an empty file
Users see the chats of strangers after switching accounts
The server does not come up after the upgrade, all shops are offline
Game save is erased when the console goes to sleep
Password reset mails contain the old password in plain text
All my contacts have vanished from the address book
Installer wipes the user's documents folder
The program terminates with an access violation as soon as a file is opened
نظام الدفع متوقف ولا يستطيع أي عميل الدخول
حذف التطبيق كل جهات الاتصال
يمكن لأي مستخدم رؤية رسائل الآخرين
The desktop program quits by itself whenever I paste a picture
    """,
    "major": """
Search returns results of the wrong folder
Printing produces blank pages only
Cannot attach files from the camera roll; the picker never opens
Refunds are computed without tax, so customers get too little
Push notifications stopped arriving on Android two weeks ago
The filter by date does not filter anything
Calendar invitations are sent with the wrong time zone, one hour off
Video call freezes after ten minutes and has to be restarted
Uploading an avatar fails with error 413
Bulk edit changes only the first of the selected items
The scanner does not recognise any barcode since the last release
Export to Excel leaves out half of the columns
Users cannot change their e-mail address: the form says server error
Reports for March show the numbers of February
لا تصل رسائل التأكيد إلى العملاء
الطباعة لا تعمل على ويندوز
Importing a large file is so slow that it times out
The checkout button does not respond on tablets
    """,
    "minor": """
Sorting by name ignores umlauts; sorting by date works
The dialog opens on the wrong monitor, I have to drag it back
Autocomplete suggests deleted contacts now and then
The list jumps to the top after editing an item
You have to click twice on the star before it lights up
The date picker starts the week on Sunday although the locale says Monday
Undo works only once; after that you can use the history panel
Opening the settings takes about three seconds
The progress bar reaches 100 % a few seconds before the job is done
Copying a table from the page loses the formatting, pasting as text works
Volume slider is a bit too sensitive
The counter of unread mails is off by one until you reload
Sometimes the sound plays a second late
Tab order in the address form skips the postcode field
Log file mentions a warning on each start, nothing else happens
قائمة اللغات غير مرتبة أبجديا لكن يمكن البحث فيها
يظهر التنبيه مرتين أحيانا
    """,
    "trivial": """
Button text is not centred
Wrong apostrophe in the welcome message
The logo is slightly blurry on high resolution screens
There is a double space in the footer
Menu entries are not capitalised consistently
The About box shows last year's copyright
Link colour differs between the two help pages
Missing full stop at the end of the error text
The icon of the trash is not aligned with the others
Header font is a little too large
Spelling: 'adress' should be 'address'
One pixel gap between the tabs
The word 'colour' is written the American way in one place
The tooltip says 'Clsoe'
لون الزر باهت قليلا
حرف ناقص في كلمة الاشتراك
Placeholder in the search box is in German
    """,
}


def judged(phrase):
    return choose(list(MEANINGS), MEANINGS, "severity", Material(phrase))


def test_phrases_of_other_products():
    scores = []
    told = {level: [judged(phrase) for phrase in text.strip().splitlines()] for level, text in PHRASES.items()}
    for level, guesses in told.items():
        said = sum(other.count(level) for other in told.values())
        scores.append(2 * guesses.count(level) / (said + len(guesses)))
    assert sum(scores) / len(scores) >= 0.9


@pytest.mark.parametrize(
    ("phrase", "wanted"),
    [
        ("Nothing is lost, but the icon is blurry", "trivial"),
        ("When I delete a note the list jumps; reloading helps", "minor"),
        ("The error text has a double space", "trivial"),
        ("The button no longer works", "major"),
    ],
)
def test_words_that_mislead(phrase, wanted):
    assert judged(phrase) == wanted
