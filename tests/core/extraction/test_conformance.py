"""The published suite of extractors notices extractors that break its promises."""

from datetime import datetime
from itertools import count

import pytest
from memori.augmentation.extraction.base import Extractor
from memori.conformance.extractor import ExtractorConformance
from memori.model import Proposal


class Parrot(Extractor):
    """Proposes every longer message as it stands, and keeps every promise."""

    version = "parrot/1"

    def extract(self, turns):
        return [self.of(turn) for turn in turns]

    def of(self, turn):
        return [
            Proposal(stored.message.content.strip()[:500], "fact", index)
            for index, stored in enumerate(turn.messages)
            if len(stored.message.content.strip()) > 10 and "memori_context" not in stored.message.content.lower()
        ]


class Believing(Parrot):
    """Takes whatever it reads for a rule."""

    def of(self, turn):
        return [Proposal(proposal.text, "rule", proposal.message) for proposal in super().of(turn)]


class Naming(Parrot):
    """Writes the entity id into its texts."""

    def of(self, turn):
        whom = turn.attribution.entity_id
        return [Proposal(f"{whom}: {proposal.text}", "fact", proposal.message) for proposal in super().of(turn)]


class Counting(Parrot):
    """Carries something from one turn to the next."""

    def __init__(self):
        super().__init__()
        self.seen = count()

    def of(self, turn):
        return [Proposal(f"{found.text} {next(self.seen)}", "fact", found.message) for found in super().of(turn)]


class Forgetful(Parrot):
    """Leaves out the turns that say nothing."""

    def extract(self, turns):
        return [found for found in super().extract(turns) if found]


class Greedy(Parrot):
    """Reads injected blocks, and the context."""

    def of(self, turn):
        everything = (*turn.messages, *turn.context)
        return [Proposal(stored.message.content, "fact", 0) for stored in everything if stored.message.content.strip()]


class Naive(Parrot):
    """Gives times without a zone."""

    def of(self, turn):
        naive = datetime(2024, 1, 1)  # noqa: DTZ001 - that is the fault
        return [Proposal(found.text, "event", found.message, valid_from=naive) for found in super().of(turn)]


BROKEN = [
    (Believing, "test_what_an_assistant_claims_is_no_rule"),
    (Naming, "test_the_entity_id_stays_out_of_texts"),
    (Naming, "test_the_entity_id_changes_nothing"),
    (Counting, "test_the_same_input_gives_the_same_proposals"),
    (Counting, "test_a_batch_gives_what_its_turns_give_alone"),
    (Forgetful, "test_there_is_one_list_for_each_turn_in_order"),
    (Greedy, "test_an_injected_block_is_never_extracted"),
    (Greedy, "test_context_is_not_extracted_from"),
    (Greedy, "test_a_proposal_points_at_the_message_it_came_from"),
    (Naive, "test_it_finds_something_in_plain_speech"),
]


@pytest.mark.parametrize(("broken", "promise"), BROKEN)
def test_a_broken_promise_is_noticed_and_a_kept_one_passes(broken, promise):
    check = getattr(ExtractorConformance(), promise)

    check(Parrot())
    with pytest.raises(AssertionError):
        check(broken())
