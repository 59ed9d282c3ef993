"""Read off a statement's wording whether it can take the place of another: cues of an end and a change, and of neither.

Statements are in the third person, as extractors write them: "The user sold the Polo.", "Ada's cat Miso died."
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...text import terms, words

_ENDED = re.compile(
    r"""\b(?:
        (?:sold | lost | stole | stolen | nicked | left | quit | stopped | dropped | finished | completed | closed | shut
          | cancel(?:l?ed) | scrapped | binned | totall?ed | wrecked | crashed | ditched | dumped | donated | returned
          | uninstalled | deleted | wiped | shaved | chopped | outgrew | outgrown | (?:got|gotten)\ rid\ of
          | traded | sank | sunk | moved\ out | dropped\ out | graduated | resigned | retired)
        (?!\ (?:of\ |from\ )?(?:an?|some|two|three|four)\b)
      | died | dead | passed\ away | defended | divorced | separated | ended | expired | lapsed? | rehomed | unsubscribed
      | healed | cured | cleared | recovered | fired | sacked | sober | (?:is|are|was|'s)\ over | done\ with | for\ good
      | thr[eo]wn?\ (?:\w+\ ){0,3}(?:out|away) | paid\ off | fell\ through | split(?:\ up)?
      | g[ai]ven?\ (?:[\w']+\ ){0,5}(?:up|away|back)
      | g[ai]ven?\ (?:the|his|her|their|both|all|[A-Z]\w+)\ (?:[\w']+\ ){0,4}to
      | (?:handed|sent|took|taken)\ (?:[\w']+\ ){0,5}(?:away|back|in|off)
      | bro(?:ke|ken)\ (?:up|off) | laid\ off | made\ redundant | called\ (?:[\w']+\ ){1,3}off
      | let\ (?:[\w']+\ ){0,6}go | put\ (?:[\w']+\ ){1,4}(?:down|to\ sleep) | (?:stepped|turned|stood)\ down
      | (?:is|are|was|were|been|gone)\ (?:off|out|gone|behind) | (?:has|have)\ gone\b(?!\ \w)
      | grown\ on | c[ao]me\ (?:round|around|to\ (?:love|like|hate)) | w[eo]nt\ off | warmed\ to
      | no\ longer | no\ more | any\ ?more | never\ again | ha(?:s|ve)n't | has\ not
    )\b""",
    re.VERBOSE,
)
"""What says that somebody no longer has, does, is or uses something."""
_SWITCHED = re.compile(
    r"""\b(?:switch(?:ed|es)? | swapp?ed | swaps | replac(?:ed|es) | upgraded | downgraded | convert(?:ed|s) | migrated
      | transferred | traded | changed\ (?:[\w']+\ ){0,4}(?:to|from|over) | (?:went|gone|go(?:es)?|moved|came)\ (?:[\w']+\ ){0,3}(?:over|back|across)
      | instead | in\ place\ of | rather\ than)\b""",
    re.VERBOSE,
)
"""What says that one thing took the place of another."""
_CHANGED = re.compile(
    r"""\b(?:
        moved | relocated | resettled | emigrated | changed | went\ (?!to\b|on\b|for\b|out\b|with\b|\w+ing\b) | promoted | demoted | made | bumped | pushed | raised
      | lowered | postponed | rescheduled | cut | (?:got|bought)\ (?:the|their|an?\ (?:house|flat|home|apartment))
      | got\ \w+ed | became | become | becoming | turn(?:s|ed)
      | landed | arrived | joined | installed | adopted | hired | born | married | engaged | started | began | opened
      | settled | picked\ up | signed | passed | reached | grew\b(?!\ up) | grown | gained | crept | took\ (?:over|up) | taken\ (?:over|up)
      | ended\ up | put\ (?:[\w']+\ ){0,3}(?:on|onto|with) | can(?![’'n]|\ never) | given | lets?
    )\b""",
    re.VERBOSE,
)
"""What says that something became otherwise."""
_NOW = re.compile(
    r"""\b(?:now|nowadays|these\ days|instead|since|finally|back|again|currently|only|as\ of|from\ now\ on|lately
      |right\ now|(?:the\ user's|(?:has|have)\ an?)\ new)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_BRIEF = re.compile(
    r"""\b(?:for\ (?:an?|one|two|three|four|five|ten|the|this)\ (?:day|night|week|weekend|fortnight|month|summer)s?
      |for\ (?:a\ few|a\ couple\ of)\ \w+|on\ (?:holiday|vacation|(?:an?|our|their|the\ user's)\ (?:trip|visit))
      |at\ the\ weekend|over\ the\ weekend|this\ weekend|once\ or\ twice|tried|tries|trying|covering|filling\ in|helping\ out|looked\ after
      |looking\ after|skipped|forgot|visit\w*|paused|missed|temporar\w+|borrow\w*|trial|experiment|for\ the\ first\ time|guest|just\ for)\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""What lasts a while, or happened once, and leaves things as they were."""
_PERSON = (
    r"wife|husband|spouse|partner|girlfriend|boyfriend|fianc\w+|ex|mother|mom|mum|father|dad|sister|brother|son|daughter"
    r"|aunt|uncle|cousin|niece|nephew|grand\w+|gran|friend|mate|boss|manager|colleague|coworker|neighbou?r|roommate"
    r"|flatmate|landlord|landlady|teacher|coach|doctor|gp|dentist|kid|child|twin|baby|parents?"
    r"|cat|dog|puppy|kitten|rabbit|horse|parrot|hamster|pet|\w+-in-law"
)
_ANOTHER = re.compile(
    r"""\b(?:also|another|second|third|too|as\ well|on\ top|extra|both|besides|one\ more|on\ the\ side|alongside
      |in\ addition|part-time|sometimes)\b
    """
    rf"""|\b(?:for|with)\ (?:the\ user's|an?)\ (?:{_PERSON})\b|\ban?\ (?:{_PERSON})'s\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""One more of a kind takes nobody's place."""
_UNREAL = re.compile(
    r"""\b(?:might|may(?=\ [a-z])|maybe|perhaps|probably|possibly|would|wouldn't|could|should|if|wonder\w*|consider\w*
      |think(?:s|ing)\ (?:of|about)|talks?\ of|hop(?:es|ing)\ to|plan(?:s|ned|ning)?\ to|wants?\ to(?!\ be\ called)
      |dream\w*|tempted|almost|nearly|toying|offer(?:ed|s)?|interview\w*|appl(?:y|ied)\ for|will|'ll|going\ to|about\ to|starting|joke|joking|kidding|imagin\w+|pretend\w*|not\ yet|viewed|used\ to|as\ a\ (?:kid|child|boy|girl|teenager)
      |years\ ago|back\ then|at\ school|when\ \w+\ was|stays?|still|remains?|keeps?)\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""What is not so, not yet so, no longer so, or so as before."""
_SOMEBODYS = re.compile(
    rf"(?:the user|[A-Z][\w-]+)'s (?:[\w-]+ ){{0,3}}?(?P<who>(?:{_PERSON})s?)\b(?: (?P<name>[A-Z]\w+))?", re.I
)
_USER = re.compile(r"the user\b(?!'s)", re.IGNORECASE)
_TO_USER = re.compile(r"\bthe user\b(?!'s)", re.IGNORECASE)
_WITH_USER = re.compile(r"[A-Z][\w-]+(?: [A-Z][\w-]+)*,? and (?:the user|others)\b")
_NAMED = re.compile(
    r"(?!(?:The|An?|That|This|It|There|Some\w*|Every\w*|No\w*|Only|Baby|My|In|On|At|After|When|Since)\b)(?:(?:Dr|Mrs?|Ms|Miss|Prof)\.? )?(?P<name>[A-Z][\w-]+)"
)
_RELATION = re.compile(
    rf"\bis (?:the user|[A-Z]\w+)'s (?:[\w-]+ )?(?:{_PERSON})\b|'s (?:{_PERSON}) is (?:called |named )?(?-i:[A-Z])",
    re.I,
)
"""Who somebody is to the speaker, which is said of the speaker too."""
_VERB = re.compile(r"(?:the user|[A-Z]\w+)(?:'s [\w ]+?)? (?:and others )?(?P<verb>has been|\w+)", re.IGNORECASE)
_NAME = re.compile(r"(?<!^)\b[A-Z]\w+")
_FIGURE = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Signs:
    """What the wording of a statement says of its place among others.

    `subject`: whom it is about, in words that another statement of the same must hold; empty for the speaker and for
    things. `unreal`: hypothetical, planned, long ago, or as before.
    """

    ended: bool
    changed: bool
    now: bool
    brief: bool
    another: bool
    unreal: bool
    figure: bool
    verb: str
    subject: frozenset[str]
    relation: bool
    of_user: bool
    names: frozenset[str]
    terms: frozenset[str]
    words: frozenset[str]

    @property
    def cue(self) -> bool:
        """Whether it tells of a change or an end."""
        return self.ended or self.changed or self.now


def signs(text: str, speaker: str | None = None) -> Signs:
    """Read a statement of `speaker`, who stands in it as "the user" or by name."""
    if speaker:
        text = re.sub(rf"\b{re.escape(speaker)}\b", "the user", text)
        text = text[:1].upper() + text[1:]
    verb = _VERB.match(text)
    return Signs(
        ended=bool(_ENDED.search(text) or _SWITCHED.search(text)),
        changed=_CHANGED.search(text) is not None,
        now=_NOW.search(text) is not None,
        brief=_BRIEF.search(text) is not None,
        another=_ANOTHER.search(text) is not None,
        unreal=_UNREAL.search(text) is not None,
        figure=_FIGURE.search(text) is not None,
        verb=verb["verb"].lower() if verb else "",
        subject=_subject(text),
        relation=_RELATION.search(text) is not None,
        of_user=_USER.match(text) is not None or _WITH_USER.match(text) is not None,
        names=frozenset(word.lower() for word in _NAME.findall(text)),
        terms=frozenset(terms(text)) - {"user", "other"},
        words=frozenset(words(text)),
    )


def _subject(text: str) -> frozenset[str]:
    owned = _SOMEBODYS.match(text)
    if owned is not None:
        names = {owned["name"].lower()} if owned["name"] and owned["name"][0].isupper() else set()
        return frozenset({owned["who"].lower().removesuffix("s"), *names})
    if re.match(r"the user\b", text, re.IGNORECASE) or _WITH_USER.match(text):
        return frozenset()
    named = _NAMED.match(text)
    # "GP swapped the user onto another drug" is the user's change. Whatever else comes first must be known of.
    return frozenset({named["name"].lower()} if named and not _TO_USER.search(text) else ())
