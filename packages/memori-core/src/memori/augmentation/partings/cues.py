"""The words that tell of an end, of a change, and of what is neither, as patterns for third-person statements."""

from __future__ import annotations

import re

PERSON = (
    r"wife|husband|spouse|partner|girlfriend|boyfriend|fianc\w+|ex|mother|mom|mum|father|dad|sister|brother|son|daughter"
    r"|aunt|uncle|cousin|niece|nephew|grand\w+|gran|friend|mate|boss|manager|colleague|coworker|neighbou?r|roommate"
    r"|flatmate|landlord|landlady|teacher|coach|doctor|gp|dentist|kid|child|twin|baby|parents?"
    r"|cat|dog|puppy|kitten|rabbit|horse|parrot|hamster|pet|\w+-in-law"
)
"""Who may be the subject of a change that is theirs and not the speaker's."""


def _cue(pattern: str, *, case: bool = True) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b", re.VERBOSE | (re.NOFLAG if case else re.IGNORECASE))


ENDED = _cue(
    r"""
    (?:sold | lost | stole | stolen | nicked | left | quit | stopped | dropped | finished | completed | closed | shut
      | cancel(?:l?ed) | scrapped | binned | totall?ed | wrecked | crashed | ditched | dumped | donated | returned
      | uninstalled | deleted | wiped | shaved | chopped | outgrew | outgrown | (?:got|gotten)\ rid\ of
      | traded | sank | sunk | moved\ out | dropped\ out | graduated | resigned | retired)
      (?!\ (?:of\ |from\ )?(?:an?|some|two|three|four|tons|lots|loads|plenty|more)\b)
    | died | dead | passed\ away | defended | divorced | separated | ended | expired | lapsed? | rehomed
    | unsubscribed | healed | cured | cleared | recovered | fired | sacked | sober | paid\ off | fell\ through
    | (?:is|are|was|'s)\ over | done\ with | for\ good | split(?:\ up)?
    | thr[eo]wn?\ (?:\w+\ ){0,3}(?:out|away)
    | g[ai]ven?\ (?:[\w']+\ ){0,5}(?:up|away|back)
    | g[ai]ven?\ (?:the|his|her|their|both|all|[A-Z]\w+)\ (?:[\w']+\ ){0,4}to
    | (?:handed|sent|took|taken)\ (?:[\w']+\ ){0,5}(?:away|back|in|off)
    | bro(?:ke|ken)\ (?:up|off) | laid\ off | made\ redundant | called\ (?:[\w']+\ ){1,3}off
    | let\ (?:[\w']+\ ){0,6}go | put\ (?:[\w']+\ ){1,4}(?:down|to\ sleep) | (?:stepped|turned|stood)\ down
    | (?:is|are|was|were|been|gone)\ (?:off|out|gone|behind) | (?:has|have)\ gone\b(?!\ \w)
    | grown\ on | c[ao]me\ (?:round|around|to\ (?:love|like|hate)) | w[eo]nt\ off | warmed\ to
    | no\ longer | no\ more | any\ ?more | never\ again | ha(?:s|ve)n't | has\ not
    """
)
"""Somebody no longer has, does, is or uses something. "Sold the car", but not "sold a car"."""
SWITCHED = _cue(
    r"""
    switch(?:ed|es)? | swapp?ed | swaps | replac(?:ed|es) | upgraded | downgraded | convert(?:ed|s) | migrated
    | transferred | traded | changed\ (?:[\w']+\ ){0,4}(?:to|from|over)
    | (?:went|gone|go(?:es)?|moved|came)\ (?:[\w']+\ ){0,3}(?:over|back|across)
    | instead | in\ place\ of | rather\ than
    """
)
"""One thing took the place of another."""
CHANGED = _cue(
    r"""
    moved | relocated | resettled | emigrated | changed | went\ (?!to\b|on\b|for\b|out\b|with\b|\w+ing\b)
    | promoted | demoted | made | bumped | pushed | raised | lowered | postponed | rescheduled | cut
    | (?:got|bought)\ (?:the|their|an?\ (?:house|flat|home|apartment)) | got\ \w+ed
    | became | become | becoming | turn(?:s|ed) | landed | arrived | joined | installed | adopted | hired | born
    | married | engaged | started | began | opened | settled | picked\ up | signed | passed | reached
    | grew\b(?!\ up) | grown | gained | crept | (?:took|taken)\ (?:over|up) | ended\ up
    | put\ (?:[\w']+\ ){0,3}(?:on|onto|with) | can(?![’'n]|\ never) | given | lets?
    """
)
"""Something became otherwise."""
NOW = _cue(
    r"""
    now | nowadays | these\ days | since | finally | back | again | currently | only | as\ of | from\ now\ on
    | lately | right\ now | (?:the\ user's|(?:has|have)\ an?)\ new
    """,
    case=False,
)
"""It is so from now on."""
ONCE = _cue(
    r"""
    (?:lost|finished|completed|left|dropped)\ (?:[\w']+\ ){1,3}
    (?:card|keys?|wallet|bag|umbrella|homework|assignment|shift|packet|pack|bottle|box)
    | dropped\ (?:[\w']+\ ){1,3}(?:phone|laptop|tablet|camera|glass|plate|cup|mug)
    | left\ (?:[\w']+\ ){1,3}at\ (?:\d+|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|noon|midnight)
    """
)
"""A thing of daily life was lost, fell or was used up, or somebody went home: what it belongs to goes on."""
PASSING = _cue(
    r"""
    for\ (?:an?|one|two|three|four|five|ten|the|this)\ (?:day|night|week|weekend|fortnight|month|summer)s?
    | for\ (?:a\ few|a\ couple\ of)\ \w+ | (?:at\ the|over\ the|this)\ weekend | once\ or\ twice
    | on\ (?:holiday|vacation|(?:an?|our|their|the\ user's)\ (?:trip|visit)) | just\ for | for\ the\ first\ time
    | tried | tries | trying | covering | filling\ in | helping\ out | look(?:ed|ing)\ after | skipped | forgot
    | visit\w* | paused | missed | temporar\w+ | borrow\w* | trial | experiment | guest
    """,
    case=False,
)
"""It lasts a while, or happened once, and leaves things as they were."""
ONE_MORE = _cue(
    rf"""
    also | another | second | third | too | as\ well | on\ top | extra | both | besides | one\ more | on\ the\ side
    | alongside | in\ addition | part-time | sometimes
    | (?:for|with)\ (?:the\ user's|an?)\ (?:{PERSON}) | an?\ (?:{PERSON})'s
    """,
    case=False,
)
"""One more of a kind, or somebody else's, takes nobody's place."""
NOT_SO = _cue(
    r"""
    might | may(?=\ [a-z]) | maybe | perhaps | probably | possibly | would | wouldn't | could | should | if | wonder\w*
    | consider\w* | think(?:s|ing)\ (?:of|about) | talks?\ of | hop(?:es|ing)\ to | plan(?:s|ned|ning)?\ to
    | wants?\ to(?!\ be\ called) | dream\w* | tempted | almost | nearly | toying | offer(?:ed|s)? | interview\w*
    | appl(?:y|ied)\ for | will | 'll | going\ to | about\ to | starting | joke | joking | kidding | imagin\w+
    | pretend\w* | not\ yet | viewed | used\ to | as\ a\ (?:kid|child|boy|girl|teenager) | years\ ago | back\ then
    | at\ school | when\ \w+\ was | stays? | still | remains? | keeps?
    """,
    case=False,
)
"""It is not so, not yet so, no longer so, or so as before."""
