"""A table of general concepts and the words that tell of them, in English and Arabic. Data only; ``concepts`` reads it."""

from __future__ import annotations

from hishamos.text.words import listed

TABLE = """
# how bad it is
crash = crash | crashes | انهيار
    -crash report | crash* | <program> .. <end> | <program> .. closes | it closes it self | closes by itself | closes without | closes immediately |
    closes at once | force close* | forced to close | access violation | segfault | segmentation fault | core dump | kernel panic | blue screen |
    black screen of | unexpected shutdown | unhandled exception | out of memory | restarts by itself | reboots by itself | ينهار | انهيار | يتعطل |
    تعطل التطبيق | يغلق | يغلق فجاه | يتوقف التطبيق | توقف التطبيق | يخرج من التطبيق

data_loss = data loss | data is lost | lost data | corruption | data is damaged | فقدان البيانات
    -no data .. lost | -nothing .. lost | -lost time | -without losing | -loses .. formatting | -loses .. focus | -loses .. selection |
    -lost .. focus | -i delet* | -we delet* | -you delet* | -after delet* | -when .. delet* | -to delet* | -suggest* .. delet* | -i remov* |
    -icon .. delet* | -delet* .. icon | data loss | lost | lose | losing | lost my work~2 | <data> ... <lost> | <loss> ... <data> | all .. gone |
    is gone~0.7 | are gone | vanish* | disappear*~0.8 | overwrit* | overwritten | wiped | wipes | erased | erases | corrupt* | unrecoverable |
    can not be recovered | can not be restored~0.5 | deleted by itself | deleted without | destroyed | destroys | irrecoverabl* | فقدان | فقدت |
    ضاع* | ضياع | اختفت | اختفي | تختفي | يختفي | حذفت | محيت | تلف* | لا يمكن استعاد* | حذف تلقائي* | حذف .. كل | حذف .. جميع | مسح .. كل

security = security | security hole | vulnerability | privacy | ثغره | امان
    security | insecure | vulnerab* | exploit* | injection | xss | csrf | unauthori* | leak* | exposed | exposes | data breach | confidential |
    visible to any* | visible to every* | any body can | anyone can | anybody can | everybody can | anyone who | anybody who | whoever |
    <see> ... other <person> | <see> ... of <stranger> | other <person> .. data | another user | other people .. see | stranger* | never invited |
    without permission | private .. public | plain text .. password | password .. plain text | password ... in clear | escalat* | bypass* |
    impersonat* | ثغره | امني* | تسريب | خصوصي* | بدون صلاحي* | بدون اذن | اي شخص | اي مستخدم .. رؤيه | بيانات .. اخرين | رسائل .. اخرين |
    ملفات .. اخرين

lockout = locked out | unusable | can not be used | nobody can sign in | outage | down
    locked out | lock out | nobody can | no one can | nobody is able | none of us | every account | all accounts | all users | all customers |
    all .. accounts | every user | everyone | everybody | no user can | no customer can | whole team | whole company | entire team | whole office |
    unusable | can not be used | can not use | can not work | can not start | does not start | will not start | does not open~0.7 | will not open |
    can not be opened | does not launch | does not boot | does not come up | will not come up | can not log* in | can not sign in | can not get in |
    unable to log* in | unable to sign in | nothing works | outage | completely down | is down | are down | are offline | service unavailable |
    لا استطيع .. الدخول | لا يمكنني .. الدخول | لا يمكن .. الدخول | فشل الدخول | فشل .. الدخول | يتعذر .. الدخول | لا يفتح | لا يعمل التطبيق |
    لا يبدا | اي عميل | جميع المستخدمين | كل المستخدمين | لا احد | النظام متوقف | نظام .. متوقف

broken = broken | does not work | fails | malfunction | important function | main function | معطل
    -error text | -error message | -does not matter | -would not mind | -not .. centred | -not .. centered | -not .. aligned | -not .. align |
    -not .. consistent* | -not .. capital* | <negated> <word> | no longer | fails | failed | failure | failing | error | errors | exception |
    refuse* | reject* | denied | can not | unable | hang | hangs | hung | stuck | freez* | frozen | unresponsive | never <word> | broken | ignores |
    ignored | no way to | impossible | timeout | times out | timed out | 500 | 502 | 503 | not found | not saved | not sent | nothing happens |
    wrong~0.6 | blank | incomplete | half of~0.7 | leaves out | left out | only the first | returns .. wrong | shows .. of~0.3 | missing~0.5 |
    too little~0.7 | too much~0.5 | stops | stopped | stopped working | has to be restarted | must be restarted | wrong result | wrong data |
    damaged | skips~0.5 | computed~0.4 | calculated~0.4 | drain* | by hand~0.7 | every time~0.4 | each time~0.4 | each start~0.3 | all day~0.7 |
    keeps~0.5 | all the time~0.5 | لا يعمل | لا تعمل | تتوقف | يتوقف | خطا | فشل | يفشل | تفشل | يتعذر | لا يظهر | لا تظهر | لا يصل | لا تصل |
    لا يقبل | لا تفيد | لا يستجيب | يعلق | مستحيل | لا استطيع | لا يمكن* | نضطر

workaround = workaround | inconvenience | annoyance | nuisance | there is a way around | مزعج
    -nothing works | -no longer works | -never works | -only works | -hardly works | -nothing helps | -no workaround | -help page* | -help text* |
    -help menu | -not .. help* | workaround | work around | way around | instead works | still works | works | works fine | still possible |
    can still | but works | again helps | again works | restart helps | restarting helps | reload* helps | refresh* helps | helps | until you reload |
    after a reload | after reload* | clears it | clear it | filter them | inconvenien* | annoy* | irritat* | nuisance | would be nice | nice to have |
    sometimes | occasional* | now and then | once in a while | slow*~0.7 | slight*~0.4 | a bit~0.8 | small thing~2 | delay*~0.5 | late~0.4 |
    confus*~0.7 | harmless | have to click | has to be clicked | drag it back | by one~0.7 | a few seconds~0.8 | takes about | twice~0.5 |
    duplicate entr* | expected~0.5 | nothing else~1.5 | after that | warning~0.6 | jumps~0.8 | order~0.3 | although the locale | too sensitive |
    ignores .. case | مزعج* | حل بديل | احيانا | بطيء | بطيئ* | ما زال يعمل | مع ذلك | لكن يمكن~1.5 | مرتين~0.7

cosmetic = cosmetic | typo | wording | appearance | looks | شكلي
    cosmetic* | typo* | spelling | spelled | spelt | misspel* | mis spel* | should be .. spel* | grammar | wording | worded | is written~0.7 |
    capital letter* | capitali* | punctuation | apostrophe* | comma is | full stop* | double space | hyphen* | umlaut .. in | translation is |
    translated | untranslated | is in german | is in english | is in french | american way | colour* | color* | shade of | icon | icons | logo |
    font | fonts | alignment | aligned | misaligned | not align* | centred | centered | off centre | off center | pixel* | blurry | blurred | faded |
    margin* | padding | spacing | gap between | rounded corner* | cut off | truncated | divider | border~0.5 | footer~0.5 | copyright | about box |
    looks like | look alike | looks odd | ugly | grey box | gray box | animation | placeholder~0.7 | label text | button text | error text |
    message text | welcome message~0.6 | tooltip says | label says | heading says | menu says~0.7 | text says~0.7 | the word~1 | title case |
    letter .. missing~0.7 | wrong letter | املائي* | لون | الوان | ايقونه | الايقون* | محاذا* | خط صغير | شعار | ترجمه خاطئ* | مكتوب* | كلمه .. بدون |
    حرف | باهت

# what it is about
ui = ui | gui | user interface | interface | frontend | front end | screen | screens | buttons | layout | design | ux | editor | واجهه المستخدم
    button* | screen*~0.7 | window*~0.6 | dialog*~0.5 | menu* | toolbar*~1.5 | tool bar | sidebar*~1.5 | side bar | tooltip*~1.5 | icon*~1.3 |
    cursor* | mouse | hover* | click*~0.7 | scroll* | drag* | drop~0.5 | dropdown* | layout* | font* | colour* | color* | dark mode~1.5 | light mode |
    theme* | badge* | shortcut* | keyboard* | ctrl | typo* | spelling | spelled | misspel* | heading* | label* | footer* | header text | page looks |
    overlap* | cut off | align* | pixel* | preview*~0.8 | editor* | portrait | landscape | zoom* | animation* | freez* | does not react | divider* |
    tab~0.4 | word~0.4 | camera* | resiz* | panel* | display*~0.6 | blank page | settings page | زر | شاشه | نافذه | قائمه منسدل* | ايقونه | لون |
    عنوان | محرر | املائي* | كاميرا | خط | واجهه المستخدم | لوحه المفاتيح | تمرير | تخطيط

api = api | rest | backend | endpoint | endpoints | sdk | webhook | webhooks | واجهه البرمجه
    api~2.5 | rest api | endpoint*~2 | sdk~2.5 | webhook*~2.5 | http*~0.5 | get v1~2 | post v1~2 | put v1~2 | delete v1~2 | patch v1~2 | v1 | v2~0.7 |
    json | status code* | rate limit*~1.5 | openapi~2.5 | swagger | graphql | curl | client librar* | python~0.5 | request*~0.6 | response*~0.6 |
    header*~0.5 | 400 | 401~0.7 | 403 | 404 | 409 | 422 | 429 | 500 | 502 | 503 | payload* | pagination~1.2 | query parameter* | token*~0.4 |
    script~0.5 | integration*~0.7 | واجهه البرمجه~2.5 | برمجه التطبيقات~2.5 | واجهه برمجه~2.5 | رمز~0.4 | طلب~0.4

storage = storage | files | database | saving | backup | import | export | attachments | disk | تخزين | حفظ
    save | saves | saved | saving | autosave*~2 | auto save | stored | storage~2 | disk*~1.5 | database*~2 | backup*~2.5 | back up~2 | restor*~1.2 |
    import*~1.3 | export*~1.3 | csv~1.2 | pdf~0.8 | attach*~1.5 | upload*~1.5 | download*~1 | file~0.6 | files~0.7 | folder*~0.5 | corrupt*~1.2 |
    index*~0.8 | search~0.4 | quota | space~0.5 | trash | migration | archive~0.4 | تخزين | حفظ | قرص | ملف | ملفات | مرفق* | نسخ احتياطي* |
    نسخه احتياطي* | احتياطي*~2 | استعاد* | تصدير | استيراد | قاعده البيانات | تحميل | رفع

auth = auth | authentication | authorization | login | sign in | signing in | sign-in | password | permissions | account | accounts | security |
sharing | access rights | تسجيل الدخول
    log in~2 | logs in | logged in | logging in | login*~2 | log* out | sign in~2 | signs in | signed in | signing in | signs me out~2 | sign out |
    signed out | logged out | password*~1.8 | passkey* | credential*~2 | two factor~2 | 2fa~2 | mfa | authenticator~2 | one time code | otp | sso~2 |
    oauth~1.5 | saml | account*~0.7 | session*~1.2 | permission*~1.2 | invited | scope*~0.7 | sharing~1 | shared link*~1.5 | public link*~1.5 |
    share link* | shared with | private~0.6 | access right* | locked out~1.5 | captcha | role | roles | token expire* | دخول~1.5 | تسجيل الدخول~2 |
    كلمه المرور~2 | كلمه السر~2 | حساب | صلاحي* | مشارك* | تحقق بخطوتين | رمز التحقق

sync = sync | synchronisation | synchronization | synchronising | devices | offline | conflicts | مزامنه
    sync*~2 | offline~1.5 | reconnect* | other device* | one device | both devices | all devices | between devices | on the other | device*~0.6 |
    conflict*~1.5 | merge*~0.7 | desktop .. tablet | both are online | without network | back online | stale copy | مزامن*~2 | بدون اتصال | غير متصل |
    اجهزه | جهاز اخر | تعارض | بين الهاتف

network = network | connection | connectivity | شبكه
    network* | connection* | wifi | wi fi | vpn | proxy | dns | firewall | latency | bandwidth | شبكه | اتصال | انترنت

performance = performance | speed | slow | slowness | اداء
    slow* | lag* | performance | cpu | memory | battery | takes .. second* | takes .. minute* | hot | fan | بطي* | بطء | بطاريه | ذاكره

notifications = notification | notifications | alerts | push | اشعارات
    notification* | notif* | push message* | alert* | reminder* | اشعار* | تنبيه* | تذكير*

search = search | find | بحث
    search* | find | results | query | بحث*

billing = billing | payment | payments | invoice | subscription | checkout | refund | فوتره | دفع
    bill | billed | billing | invoice* | payment* | pay | paid | charge* | refund* | subscription* | credit card | price* | checkout | coupon* |
    دفع* | فاتور* | اشتراك* | بطاقه | مبلغ

shipping = shipping | delivery | logistics | شحن | توصيل
    ship | shipped | shipping | shipment* | deliver* | parcel* | package* | courier* | tracking number | arriv* | شحن* | توصيل | طرد | تسليم

documentation = documentation | docs | manual | help | توثيق
    documentation | docs | manual | readme | help page* | tutorial* | guide* | توثيق | دليل

installation = installation | install | setup | update | upgrade | تثبيت
    install* | setup | set up | upgrad* | updat* | uninstall* | reinstall* | تثبيت | تحديث*

request = feature request | feature | enhancement | wish | suggestion | طلب ميزه
    please add | would like | would love | could you add | feature request | it would be great | wish | suggest* | اتمني | اقترح* | اضافه ميزه

question = question | inquiry | سؤال
    how do i | how can i | how to | what is | where can i | is it possible | could you tell | can you explain | كيف | هل يمكن* | اين اجد

complaint = complaint | شكوي
    complain* | unacceptable | terrible | awful | worst | angry | furious | disappoint* | frustrat* | شكوي | غير مقبول | سيء

# feeling
positive = positive | good | happy | satisfied | praise | ايجابي
    -not good | -not happy | -not great | great | good | excellent | love* | awesome | amazing | perfect* | happy | thank* | fantastic | wonderful |
    best | helpful | nice | pleas*d | satisfied | recommend* | ممتاز | رائع | جيد | شكرا | احب* | سعيد

negative = negative | bad | unhappy | dissatisfied | سلبي
    bad | terrible | awful | hate* | worst | poor* | horrible | useless | disappoint* | angry | frustrat* | not good | not happy | broken | waste |
    unacceptable | crash* | fail* | سيء | سيئ* | رديء | اكره | محبط | غاضب

# how it can be seen again, and whether it says anything
reproducible = reproducible | reproduced | repeatable | deterministic
    every time | each time | always | happens at each | at each start | all the time | steps | steps to reproduce | reproduc* | whenever |
    in every case | for each | في كل مره | دائما | كل مره | خطوات

intermittent = intermittent | sporadic | random | flaky | not reproducible
    sometimes | occasional* | random* | sporadic* | intermittent* | now and then | half of the time | only once | can not reproduce |
    could not reproduce | not reproducible | احيانا | مره واحده | عشوائي*

urgent = urgent | urgency | asap | immediate | عاجل
    urgent* | asap | as soon as possible | immediately | right now | at once | deadline | critical | emergency | عاجل* | فورا | باسرع | ضروري

nonsense = spam | a test | test message | test row | testing | gibberish | nonsense | junk | noise | garbage | advertisement | advertising |
meaningless | not a real report | random characters | هراء | رسائل مزعجه | عشوائي
    spam* | gibberish | nonsense | junk | advertis*
"""
"""A block a concept: ``name = `` what people call it in field names, values and descriptions; below, indented, the cues that tell of it.

``|`` stands between them. In a cue ``*`` ends an open word, ``..`` allows up to three words between and ``...`` up to six, ``<data>`` is a
word of that group, ``~0.5`` gives a weight other than 1. A cue that begins with ``-`` takes away what it covers before the others are
counted. Cues are normalised and stemmed as the text is.
"""

CLASSES = {
    "program": "app application program client game server process browser software tool editor page",
    "end": "die dies quit quits terminate terminates exit exits abort aborts segfaults",
    "data": """data file files document documents note notes contact contacts message messages mail mails photo photos picture pictures image images
    order orders database folder folders inbox entry entries record records history text texts work draft drafts backup library list account accounts""",
    "lost": "lost gone missing vanished disappeared deleted erased wiped overwritten corrupted damaged destroyed",
    "loss": "delete deletes deleted erase erases erased wipe wipes wiped remove removes removed destroy destroys lose loses lost overwrite overwrites",
    "see": "see sees read reads open opens view views access shows show visible",
    "person": "user users customer customers people person account accounts member members patient patients client clients",
    "stranger": "others strangers another somebody someone",
    "negated": "does-not do-not did-not can-not could-not will-not would-not is-not are-not has-not have-not",
    "word": "*",
}
"""Groups of words that a cue names as ``<group>``; a hyphen joins words that stand together, ``*`` is any word."""

OPPOSITES = {"reproducible": "intermittent", "intermittent": "reproducible", "positive": "negative", "negative": "positive"}
"""Concepts of which one speaks against the other."""

LEVELS = {"crash": 0, "data_loss": 0, "security": 0, "lockout": 0, "broken": 1, "workaround": 2, "cosmetic": 3}
"""How bad each concept is on a scale of four, 0 the worst."""

SCALE: tuple[frozenset[str], ...] = (
    listed("blocker blocking critical highest urgent severe p0 sev0 s0 emergency fatal showstopper immediate حرج عاجل"),
    listed("major high serious important p1 sev1 s1 error elevated عالي كبير مهم"),
    listed("minor medium moderate normal average p2 sev2 s2 warning mid متوسط عادي"),
    listed("trivial low lowest cosmetic negligible p3 p4 sev3 sev4 s3 info none insignificant بسيط منخفض طفيف"),
)
"""What people call the four levels."""

SCALE_FIELDS = listed("severity priority urgency impact criticality level importance seriousness خطوره اولويه")
"""Field names that ask for a level."""

ROLES = {
    "short": listed("headline title subject summary heading caption tldr abstract gist overview synopsis topic عنوان ملخص خلاصه موجز"),
    "long": listed("body report text content details detail description markdown notes narrative story document lines تقرير نص تفاصيل وصف"),
    "quote": listed("evidence quote quotation excerpt passage snippet sentence citation اقتباس دليل"),
    "why": listed("reason reasons why because rationale justification explanation cause causes grounds basis سبب اسباب"),
    "key": listed("id key identifier ref reference code number معرف رقم"),
    "terms": listed("keywords keyword tags tag terms topics labels phrases كلمات وسوم"),
}
"""What a text field is for, by the words of its name."""
