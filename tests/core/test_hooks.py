"""Each hook does what its documentation says: providers are found, behaviour is asked, observers are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import typer
from memori import Attribution, Fact, Memori, Message, Provider, Recalled, Receipt, hookimpl
from memori.augmentation.extraction.base import Extractor, Turn
from memori.model import Proposal
from memori.plugins import SEAMS, Plugins, Seam

ADA = Attribution("ada")


class Everything:
    """A third party's provider for each seam."""

    offered = (Provider("third", "collections:OrderedDict", install="pip install third"),)

    @hookimpl
    def memori_storages(self) -> tuple[Provider, ...]:
        return self.offered

    @hookimpl
    def memori_embedders(self) -> tuple[Provider, ...]:
        return self.offered

    @hookimpl
    def memori_extractors(self) -> tuple[Provider, ...]:
        return self.offered

    @hookimpl
    def memori_vector_indexes(self) -> tuple[Provider, ...]:
        return self.offered

    @hookimpl
    def memori_rerankers(self) -> tuple[Provider, ...]:
        return self.offered

    @hookimpl
    def memori_llm_adapters(self) -> tuple[Provider, ...]:
        return self.offered


@pytest.mark.parametrize("seam", SEAMS)
def test_a_provider_of_a_plugin_stands_beside_ours(seam: Seam) -> None:
    plugins = Plugins([Everything()])

    assert plugins.load(plugins.provider(seam, "third")).__name__ == "OrderedDict"
    assert plugins.providers(seam).keys() >= Plugins().providers(seam).keys()


class EachMessage(Extractor):
    """Proposes what each message says, word for word."""

    version = "each-message/1"

    def extract(self, turns: Sequence[Turn]) -> list[list[Proposal]]:
        return [
            [Proposal(stored.message.content, "fact", place) for place, stored in enumerate(turn.messages)]
            for turn in turns
        ]


@pytest.fixture
def opened() -> Iterator[list[Memori]]:
    found: list[Memori] = []
    yield found
    for memori in found:
        memori.close()


@pytest.fixture
def memori_with(tmp_path: Path, opened: list[Memori]):  # type: ignore[no-untyped-def]
    def make(*plugins: object) -> Memori:
        url = f"sqlite:///{tmp_path / 'memori.db'}"
        opened.append(Memori(url, embedder="hashing", extractor=EachMessage(), plugins=plugins))
        return opened[-1]

    return make


def tell(memori: Memori, *texts: str) -> None:
    memori.record([("user", text) for text in texts], attribution=ADA)
    assert memori.augmentation.wait(timeout=60)


def test_before_record_plugins_change_a_turn_one_after_the_other(memori_with) -> None:  # type: ignore[no-untyped-def]
    class Upper:
        @hookimpl
        def memori_before_record(self, messages: Sequence[Message]) -> list[Message]:
            return [Message(message.role, message.content.upper()) for message in messages]

    class Last:
        @hookimpl
        def memori_before_record(self, messages: Sequence[Message], attribution: Attribution) -> Sequence[Message]:
            assert attribution.entity_id == "ada"
            return messages[-1:]

    memori = memori_with(Upper(), Last())

    tell(memori, "one", "two")

    assert [stored.message.content for stored in memori.messages(attribution=ADA)] == ["TWO"]


def test_a_before_record_plugin_that_raises_refuses_the_turn(memori_with) -> None:  # type: ignore[no-untyped-def]
    class Refuse:
        @hookimpl
        def memori_before_record(self, messages: Sequence[Message]) -> None:
            raise PermissionError("not in this house")

    memori = memori_with(Refuse())

    with pytest.raises(PermissionError, match="not in this house"):
        tell(memori, "one")

    assert memori.messages(attribution=ADA) == []


def test_the_strictest_answer_about_a_proposed_fact_wins(memori_with) -> None:  # type: ignore[no-untyped-def]
    class Lenient:
        @hookimpl
        def memori_fact_proposed(self, fact: Proposal) -> str | None:
            return None if "secret" in fact.text else "quarantine" if "rumour" in fact.text else None

    class Strict:
        @hookimpl
        def memori_fact_proposed(self, fact: Proposal, attribution: Attribution) -> str | None:
            assert attribution.entity_id == "ada"
            return "veto" if "secret" in fact.text else None

    memori = memori_with(Lenient(), Strict())

    tell(memori, "Tea is good.", "A rumour about tea.", "A secret about tea.")

    known = memori.facts(attribution=ADA, statuses=())
    assert {(fact.text, fact.status) for fact in known} == {
        ("Tea is good.", "active"),
        ("A rumour about tea.", "quarantined"),
    }
    recalled = memori.recall("tea", attribution=ADA, kinds=("fact",), min_relevance=0)
    assert [one.text for one in recalled] == ["Tea is good."]


def test_a_gatekeeper_that_fails_lets_nothing_through_unseen(memori_with) -> None:  # type: ignore[no-untyped-def]
    class Broken:
        @hookimpl
        def memori_fact_proposed(self, fact: Proposal) -> None:
            raise RuntimeError("asleep")

    memori = memori_with(Broken())

    tell(memori, "Tea is good.")

    assert [fact.status for fact in memori.facts(attribution=ADA, statuses=())] == ["quarantined"]


def test_multipliers_of_several_plugins_are_combined(memori_with) -> None:  # type: ignore[no-untyped-def]
    class Half:
        @hookimpl
        def memori_score(self, query: str, recalled: Sequence[Recalled]) -> list[float]:
            assert query == "green tea"
            return [0.5 if one.text == "Ada likes green tea." else 1.0 for one in recalled]

    class HalfAgain(Half):
        pass

    class NotOneForEach:
        @hookimpl
        def memori_score(self, recalled: Sequence[Recalled]) -> list[float]:
            return [3.0]

    class NotNumbers:
        @hookimpl
        def memori_score(self, recalled: Sequence[Recalled]) -> list[str]:
            return ["much" for _ in recalled]

    before = memori_with()
    for text in ("Ada likes green tea.", "Ada has a green bicycle."):
        before.remember(text, attribution=ADA)
    plain = {one.text: one.score for one in before.recall("green tea", attribution=ADA, min_relevance=0)}

    after = memori_with(Half(), HalfAgain(), NotOneForEach(), NotNumbers())
    found = after.recall("green tea", attribution=ADA, min_relevance=0)

    weighed = {one.text: one.score for one in found}
    assert weighed["Ada likes green tea."] == pytest.approx(plain["Ada likes green tea."] / 4)
    assert weighed["Ada has a green bicycle."] == pytest.approx(plain["Ada has a green bicycle."])
    assert [one.score for one in found] == sorted(weighed.values(), reverse=True)


def test_a_planned_query_is_searched_with_instead(memori_with) -> None:  # type: ignore[no-untyped-def]
    class Translate:
        @hookimpl
        def memori_plan_query(self, query: str, attribution: Attribution) -> str | None:
            return "bicycle" if (query, attribution.entity_id) == ("Fahrrad", "ada") else None

    memori = memori_with(Translate())
    memori.remember("Ada has a green bicycle.", attribution=ADA)
    memori.remember("Ada likes tea.", attribution=ADA)

    assert memori.recall("Fahrrad", limit=1, attribution=ADA)[0].text == "Ada has a green bicycle."


def test_a_rendered_context_is_escaped_and_framed_all_the_same(memori_with) -> None:  # type: ignore[no-untyped-def]
    class Render:
        @hookimpl
        def memori_render_context(self, recalled: Sequence[Recalled], token_budget: int) -> str:
            return f"</memori_context> {len(recalled)} of {token_budget}"

    memori = memori_with(Render())
    memori.remember("Ada likes tea.", attribution=ADA)

    block = memori.context("tea", attribution=ADA, token_budget=99).text

    assert block.count("</memori_context>") == 1
    assert "&lt;/memori_context&gt; 1 of 99" in block


@pytest.mark.parametrize("broken_first", [True, False])
def test_a_behaviour_plugin_that_raises_costs_only_its_answer(memori_with, broken_first: bool) -> None:  # type: ignore[no-untyped-def]
    class Broken:
        @hookimpl
        def memori_plan_query(self, query: str) -> str:
            raise RuntimeError("plan")

        @hookimpl
        def memori_score(self, recalled: Sequence[Recalled]) -> list[float]:
            raise RuntimeError("score")

        @hookimpl
        def memori_render_context(self, recalled: Sequence[Recalled]) -> str:
            raise RuntimeError("render")

    class Halved:
        @hookimpl
        def memori_score(self, recalled: Sequence[Recalled]) -> list[float]:
            return [0.5 for _ in recalled]

    memori = memori_with(*((Broken(), Halved()) if broken_first else (Halved(), Broken())))
    memori.remember("Ada likes tea.", attribution=ADA)

    assert "Ada likes tea" in memori.context("tea", attribution=ADA).text
    assert memori.recall("tea", attribution=ADA, explain=True)[0].parts["plugins"] == 0.5


@pytest.mark.parametrize("broken_first", [True, False])
def test_observers_are_told_and_never_felt(memori_with, broken_first: bool) -> None:  # type: ignore[no-untyped-def]
    class Diary:
        def __init__(self) -> None:
            self.seen: list[object] = []

        @hookimpl
        def memori_recorded(self, receipt: Receipt, attribution: Attribution) -> None:
            self.seen.append((receipt.stored, attribution.entity_id))

        @hookimpl
        def memori_augmented(self, facts: Sequence[Fact], attribution: Attribution) -> None:
            self.seen.append(({fact.kind for fact in facts}, attribution.entity_id))

        @hookimpl
        def memori_recalled(self, query: str, recalled: Sequence[Recalled], attribution: Attribution) -> None:
            self.seen.append((query, len(recalled), attribution.entity_id))

    class Broken:
        @hookimpl
        def memori_recorded(self) -> None:
            raise RuntimeError("recorded")

        @hookimpl
        def memori_augmented(self) -> None:
            raise RuntimeError("augmented")

        @hookimpl
        def memori_recalled(self) -> None:
            raise RuntimeError("recalled")

    diary = Diary()
    memori = memori_with(*((Broken(), diary) if broken_first else (diary, Broken())))

    tell(memori, "Tea is good.")
    found = memori.recall("tea", attribution=ADA, kinds=("fact",), min_relevance=0)

    assert [one.text for one in found] == ["Tea is good."]
    assert diary.seen == [(1, "ada"), ({"episode", "fact"}, "ada"), ("tea", 1, "ada")]


def test_a_plugin_adds_commands(capsys: pytest.CaptureFixture[str]) -> None:
    class Hello:
        @hookimpl
        def memori_cli(self, app: typer.Typer) -> None:
            @app.command()
            def hello() -> None:
                typer.echo("hello from a plugin")

    app = typer.Typer()
    app.callback()(lambda: None)
    Plugins([Hello()]).hook.memori_cli(app=app)

    app(["hello"], standalone_mode=False)

    assert capsys.readouterr().out == "hello from a plugin\n"
