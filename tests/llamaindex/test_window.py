"""Which part of a long history a model is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ThinkingBlock, ToolCallBlock
from memori_llamaindex.window import cost, newest_turns

ROLES = st.sampled_from(["user", "assistant", "tool", "system"])
HISTORIES = st.lists(st.builds(lambda role, n: ChatMessage("w " * n, role=role), ROLES, st.integers(0, 9)), max_size=25)


def words(text: str) -> list[str]:
    return text.split()


@given(HISTORIES, st.integers(-5, 80))
def test_whole_turns_are_shown_the_newest_always_and_system_messages_always(
    history: list[ChatMessage], limit: int
) -> None:
    places = newest_turns(history, limit, words)

    roles = [message.role.value for message in history]
    spoken = [place for place in range(len(history)) if roles[place] != "system"]
    shown = [place for place in places if roles[place] != "system"]
    assert places == sorted(set(places))
    assert {place for place in range(len(history)) if roles[place] == "system"} <= set(places)
    assert shown == spoken[len(spoken) - len(shown) :]
    assert not spoken or shown
    if len(shown) < len(spoken):
        assert roles[shown[0]] == "user"
    if [roles[place] for place in shown].count("user") > 1:
        assert sum(cost(history[place], words) for place in places) <= limit


@given(HISTORIES, st.integers(0, 80))
def test_a_turn_is_left_out_only_when_it_does_not_fit(history: list[ChatMessage], limit: int) -> None:
    places = newest_turns(history, limit, words)

    if sum(cost(message, words) for message in history) <= limit:
        assert places == list(range(len(history)))


def test_thoughts_tool_calls_and_pictures_cost_tokens() -> None:
    assert cost(ChatMessage(role="assistant", blocks=[ThinkingBlock(content="one two three")]), words) == 3
    assert cost(ChatMessage(role="assistant", blocks=[TextBlock(text="one two")]), words) == 2
    assert cost(ChatMessage(role="user", blocks=[ImageBlock(url="https://example.org/x.png")]), words) > 100
    call = ToolCallBlock(tool_name="t", tool_kwargs={"text": "one two three four"})
    assert cost(ChatMessage(role="assistant", blocks=[call]), words) >= 4
