"""Decide which clauses are worth remembering. Precision before recall: what is doubtful stays an episode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....model import Kind
from .people import RELATIONS, noun_phrase
from .reading import Reading
from .speaker import Cast
from .statements import Clause
from .wording import FIRST, SECOND
from .wordlist import words
from .work import changes_work

if TYPE_CHECKING:
    from collections.abc import Container

    from spacy.tokens import Token

MAX_TEXT = 400
"""Longest statement, in characters; longer ones are run-ons that nobody can recall."""

_PHRASES = words(
    """
    hope wish bet guess mean thank appreciate agree understand suppose wonder doubt swear assure promise
    apologize congratulate welcome excuse bless admit imagine hop gotta figure vote second dare
    """
)
_MENTAL = words("think know believe feel say tell remember realize notice find consider expect forget")
_TRANSIENT = words(
    """
    happy glad sorry fine good okay ok sure ready here back tired excited sad great well curious grateful
    thankful proud pleased stoked pumped thrilled surprised amazed impressed lucky afraid aware nice done able
    busy right wrong cool awesome amazing wonderful fantastic hungry sleepy bored confused blessed honored
    touched inspired hooked keen positive certain relieved available late free alone speechless jealous down
    determined committed motivated swamped beautiful super hard tough important worth rewarding special open nervous
    active strong resilient hopeful
    """
)
_VAGUE = words(
    """
    thing things stuff something anything everything nothing lot bit way kind sort part time times moment idea
    point fact case reason look fun blast one ones day days deal sense mind question questions help pleasure
    shot try chance feeling feelings start progress break vibe vibes tip tips best goal goals dream dreams
    passion passions life path paths love joy support peace happiness beauty inspiration strength growth courage
    memory memories success advice moments ideas minds lives step steps guidance journey people others everyone
    someone folks fan positivity hope motivation energy experience experiences difference impact heart hearts
    """
)
_INABILITIES = words(
    "wait believe imagine thank say tell think remember help see find figure decide complain blame promise guarantee"
)
_KIN_AT_HOME = words("kid kids children twins baby boys girls dog dogs cat cats puppy kitten wife husband missus")
_CHOICES = words("rather prefer pick choose eat drink live")
_MOMENTS = words(
    "morning afternoon evening night day week weekend month year summer winter spring fall autumn time days times"
)
_EMPTY_SUBJECTS = words("what who which everyone everything nothing something anyone anything nobody all")
_REQUESTS = words(
    "know see ask hear understand talk chat discuss share help get check say tell let thank give stay keep"
)


def worth_keeping(clause: Clause, reading: Reading, cast: Cast, kind: Kind, known: Container[int]) -> bool:
    """Whether a clause says something lasting about somebody in particular.

    `known` holds the indexes of the pronouns whose person is clear.
    """
    subject = clause.subject
    if subject is None or subject.dep_ == "expl":
        return False
    if subject.lower_ in _EMPTY_SUBJECTS and not (subject.lower_ == "everyone" and clause.root.lemma_ == "call"):
        return False
    if _points(subject) or _dependent(clause) or clause.tokens[0].lower_ in {"here", "there"}:
        return False
    spoken = {token.lower_ for token in clause.tokens}
    if len(clause.tokens) < 3 or "ain't" in clause.text.lower() or "gotta" in spoken or {"got", "ta"} <= spoken:
        return False
    if spoken & SECOND and (cast.listener is None or not cast.by_machine):
        return False
    if _inverted(clause) or _conditional(clause) or _quotes_someone(clause):
        return False
    if cast.by_machine and not _machine_reports(clause, subject, reading):
        return False
    if _small_talk(clause, subject, reading) or _invites(clause, reading) or _merely_possible(clause, reading, kind):
        return False
    if kind == "preference" and any(_points(child) for child in clause.root.children):
        return False
    return _concerns_somebody(clause, subject, known) and (
        kind == "skill" or _telling_verb(clause, kind) or _has_content(clause, subject)
    )


def is_speaker(token: Token) -> bool:
    """Whether a word is "I" or "we"."""
    return bool(token.lower_ in FIRST)


def _inverted(clause: Clause) -> bool:
    """Questions without a question mark, "so do I", and exclamations ("how nice it was")."""
    first = clause.tokens[0]
    if first.lower_ in {"how", "what", "why", "who", "whose", "which", "where"}:
        return True
    if first.tag_ == "WRB" and first.head == clause.root:
        return True
    subject = clause.subject
    return subject is not None and any(
        child.dep_ in {"aux", "auxpass"} and child.i < subject.i for child in clause.root.children
    )


def _conditional(clause: Clause) -> bool:
    return any(token.lower_ in {"if", "unless", "whether", "hopefully"} for token in clause.tokens)


def _quotes_someone(clause: Clause) -> bool:
    """Whether somebody else's "I" may stand in quotation marks."""
    inside = False
    for token in clause.tokens:
        if '"' in token.text:
            inside = not inside
        elif inside and token.lower_ in FIRST | SECOND:
            return True
    return False


def _machine_reports(clause: Clause, subject: Token, reading: Reading) -> bool:
    """An assistant is believed about what it did for its user and what it says of them, not about the world."""
    if reading.uncertain or any(token.tag_ == "MD" for token in clause.root.children):
        return False
    owned = {token.lower_ for token in subject.subtree} & SECOND
    told = any(token.lower_ in SECOND for token in clause.tokens)
    did = is_speaker(subject) and (reading.past or reading.perfect) and told
    return (bool(owned) and not _advises(clause)) or did


def _advises(clause: Clause) -> bool:
    return clause.root.lemma_ in {"need", "want", "see", "find", "get", "try", "make", "ask", "mention", "look", "seem"}


def _small_talk(clause: Clause, subject: Token, reading: Reading) -> bool:
    root = clause.root
    lemma = root.lemma_
    if not is_speaker(subject):
        return False
    spoken = f" {clause.text.lower()} "
    if " know how to " in spoken:
        return False
    if (
        lemma in {"see", "hear"}
        and root.tag_ != "VBG"
        and not reading.past
        and not reading.perfect
        and not reading.future
    ):
        return True
    if lemma == "hope" and root.tag_ == "VBG" and any(child.dep_ == "xcomp" for child in root.children):
        return False
    if any(t.lemma_ in _PHRASES and any(is_speaker(c) for c in t.children if c.dep_ == "nsubj") for t in clause.tokens):
        return True
    if lemma in _PHRASES or (lemma in _MENTAL and _reports_clause(root)):
        return True
    if any(phrase in spoken for phrase in (" look forward ", " looking forward ", " can't wait ", " cannot wait ")):
        return True
    if any(child.lower_ in {"so", "such"} and child.dep_ == "advmod" for child in root.children):
        return True
    if lemma in {"want", "need"} or reading.wish:
        wanted = next((child for child in root.children if child.dep_ in {"xcomp", "ccomp", "dobj"}), None)
        return wanted is None or wanted.lemma_ in _REQUESTS
    if lemma == "feel" or (lemma == "be" and any(child.lower_ in {"off", "up", "over"} for child in root.children)):
        return True
    if lemma in {"be", "stay", "keep", "get"}:
        state = next((child for child in root.children if child.dep_ in {"acomp", "attr", "advmod"}), None)
        if state is not None and state.lower_ in {"sorry", "glad", "happy"}:
            return True
        if state is not None and state.lower_ in {"divorced", "married", "engaged", "separated"}:
            return False
        if state is not None and (state.lower_ in _TRANSIENT or state.tag_ == "VBN"):
            if state.lower_ in {"afraid", "busy", "free", "open", "proud", "hooked", "done"} and _concrete_after(state):
                return False
            return not any(token.ent_type_ not in {"", "DATE", "TIME"} for token in clause.tokens if token != subject)
    return False


def _concrete_after(state: Token) -> bool:
    """ "Afraid of heights", "busy with my allotment": a state that says of what."""
    return any(
        inner.dep_ == "pobj" and inner.pos_ in {"NOUN", "PROPN"} and inner.lower_ not in _VAGUE
        for child in state.children
        if child.dep_ == "prep"
        for inner in child.children
    )


def _reports_clause(root: Token) -> bool:
    return any(child.dep_ in {"ccomp", "acomp", "advcl", "xcomp"} for child in root.children)


def _invites(clause: Clause, reading: Reading) -> bool:
    """ "We should catch up": plans of the two speakers, advice and wishes, not facts."""
    spoken = {token.lower_ for token in clause.tokens}
    if spoken & {"let", "let's", "lets"} and not any(child.dep_ == "auxpass" for child in clause.root.children):
        return True
    subject = clause.subject
    plural = subject is not None and subject.lower_ == "we"
    modal = any(child.tag_ == "MD" for child in clause.root.children)
    if reading.wish and not plural:
        return False
    if not plural and spoken & {"rather", "any", "every", "without"} and clause.root.lemma_ in _CHOICES | {"take"}:
        return False
    return bool(modal and plural) or bool(
        reading.uncertain and not spoken & {"might", "may", "maybe", "perhaps", "probably"}
    )


def _merely_possible(clause: Clause, reading: Reading, kind: Kind) -> bool:
    """What a speaker can or will do, without a day, is an offer or a promise; skills are told apart before.

    What they cannot eat, stand or do says something of them, and so does what they will do if nothing comes between.
    """
    helpers = {child.lower_ for child in clause.root.children if child.tag_ == "MD"}
    if kind == "skill" or not helpers & {"can", "ca", "will", "'ll", "wo", "shall"}:
        return False
    if helpers & {"can", "ca"} and reading.negated:
        return clause.root.lemma_ in _INABILITIES or not _reaches(clause.root)
    if any(token.lower_ in {"probably", "definitely"} for token in clause.tokens):
        return False
    return not any(token.ent_type_ in {"DATE", "TIME"} for token in clause.tokens)


def _reaches(verb: Token) -> bool:
    return any(child.dep_ in {"dobj", "prep", "ccomp", "xcomp"} for child in verb.children)


def _concerns_somebody(clause: Clause, subject: Token, known: Container[int]) -> bool:
    """Whether it is about somebody: a speaker, what is theirs, somebody named.

    Of other things only dated, named or counted facts are kept, and what they did to the speaker.
    """
    own = any(token.lower_ in FIRST | SECOND for whole in (subject, *subject.conjuncts) for token in noun_phrase(whole))
    own = own or (subject.lower_ in _KIN_AT_HOME and any(child.lower_ == "the" for child in subject.children))
    if own or subject.i in known or subject.pos_ == "PROPN" or subject.ent_type_:
        return bool(subject.dep_ != "csubj" or clause.root.lemma_ != "be")
    if clause.root.tag_ == "VBD" and clause.root.pos_ == "VERB":
        return any(token.lower_ in FIRST | SECOND for token in clause.tokens)
    if _affects_speaker(clause, subject):
        return True
    named = {"", "ORDINAL", "CARDINAL", "PERSON", "DATE", "TIME"}
    if any(token.pos_ == "PROPN" and token.ent_type_ not in {"DATE", "TIME"} for token in subject.subtree):
        return True
    exact = any(token.ent_type_ in {"DATE", "TIME"} and token.pos_ in {"NUM", "PROPN"} for token in clause.tokens)
    return exact or any(token.ent_type_ not in named for token in clause.tokens)


def _affects_speaker(clause: Clause, subject: Token) -> bool:
    """ "Mushrooms make me sick", "everyone calls me Sasha", "Mondays are my day off"."""
    if subject.pos_ == "PRON" and subject.lower_ not in {"everyone", "everybody"}:
        return False
    for child in clause.root.subtree:
        if child.lower_ == "me" and child.i > clause.root.i and child.head.i <= clause.root.i + 3:
            return True
        if child.dep_ == "poss" and child.lower_ in {"my", "our"} and child.head.dep_ == "attr":
            return bool(clause.root.lemma_ == "be")
    return False


def _points(noun: Token) -> bool:
    """Whether a noun needs a finger or a picture: "this bowl" (but not "this week")."""
    pointed = any(child.dep_ == "det" and child.lower_ in {"this", "that", "these", "those"} for child in noun.children)
    return bool(pointed and noun.lower_ not in _MOMENTS)


def _dependent(clause: Clause) -> bool:
    """A subordinate clause that stands alone as a fragment: "Since I was 17." """
    return any(
        (child.dep_ == "mark" or child.tag_ == "WRB") and child.i < clause.root.i for child in clause.root.children
    )


def _has_content(clause: Clause, subject: Token) -> bool:
    """Whether something remains beside the subject and an empty verb."""
    inside = {token.i for token in subject.subtree}
    rest = [token for token in clause.tokens if token.i not in inside and token != clause.root]
    solid = [token for token in rest if token.pos_ in {"NOUN", "PROPN", "NUM"} and token.lower_ not in _VAGUE]
    if solid:
        return any(token.ent_type_ not in {"DATE", "TIME", "CARDINAL"} for token in solid) or _telling(clause)
    if any(token.lemma_.lower() in RELATIONS for token in subject.subtree) and not is_speaker(subject):
        return any(token.pos_ in {"ADJ", "VERB"} for token in rest) or clause.root.pos_ == "VERB"
    if any(token.dep_ == "pcomp" for token in rest) and is_speaker(subject):
        return True
    if clause.root.lemma_ in {"be", "get", "feel", "have", "go", "do"}:
        owned = any(token.lower_ in FIRST | SECOND for token in noun_phrase(subject))
        return owned and any(token.dep_ == "acomp" and token.lower_ not in _TRANSIENT for token in rest)
    telling = any(token.pos_ in {"VERB", "ADJ"} and token.lower_ not in _TRANSIENT | _VAGUE for token in rest)
    if _affects_speaker(clause, subject) or (subject.pos_ == "PROPN" and clause.root.tag_ == "VBD"):
        return telling or any(token.dep_ in {"dobj", "prt", "oprd"} and token != subject for token in rest)
    return telling and is_speaker(subject) and len(rest) >= 2


def _telling_verb(clause: Clause, kind: Kind) -> bool:
    """Whether the verb says enough by itself: "live alone", "broke up", "stopped smoking", "love running"."""
    root = clause.root
    if root.lemma_ == "live" or (root.lemma_ in {"break", "split"} and any(c.lower_ == "up" for c in root.children)):
        return True
    if changes_work(root, root.lemma_) and is_speaker(clause.subject or root):
        return True
    if clause.text.lower().rstrip(" .!").endswith(("anymore", "any more")) and root.pos_ == "VERB":
        return True
    if any(token.lower_ in {"divorced", "engaged", "married"} for token in (root, *root.children)):
        return True
    if root.lemma_ in {"die", "graduate", "retire", "divorce"} or root.lower_ == "stolen":
        return True
    gerund = any(child.dep_ in {"xcomp", "pcomp"} and child.tag_ == "VBG" for child in root.children)
    return gerund and (kind == "preference" or root.lemma_ in {"stop", "quit", "start", "give"})


def _telling(clause: Clause) -> bool:
    """A date or number alone tells something when the verb does ("turned 32", "is in May")."""
    return bool(clause.root.pos_ == "VERB" or clause.root.lemma_ == "be")
