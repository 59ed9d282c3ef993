"""What of an agent's messages was asked, is new, and belongs to the turn."""

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from memori_langchain.turns import last_step, new_input, question, this_turn, with_context

SUMMARY = HumanMessage("Ada asked about Porto.", additional_kwargs={"lc_source": "summarization"})
OLD = HumanMessage("Hello.")
HELLO = AIMessage("Hello Ada.")
FIRST = HumanMessage("Porto?")
SECOND = HumanMessage("Or Faro?")
CALL = AIMessage("", tool_calls=[{"name": "look_up", "args": {}, "id": "c"}])
RESULT = ToolMessage("On the coast.", tool_call_id="c")
ANSWER = AIMessage("Both.")
TURN: list[AnyMessage] = [FIRST, SECOND, CALL, RESULT, ANSWER]


def test_a_notice_is_never_what_was_asked() -> None:
    assert question([OLD, HELLO, FIRST, SUMMARY]) == "Porto?"
    assert question([SUMMARY, HELLO]) == ""


def test_new_is_what_follows_the_last_answer() -> None:
    assert new_input([SystemMessage("s"), OLD, HELLO, FIRST, SUMMARY, SECOND]) == [FIRST, SECOND]
    assert new_input([FIRST]) == [FIRST]
    assert new_input([FIRST, CALL, RESULT]) == [RESULT], "a tool that ran at the caller's"
    assert new_input([FIRST, ANSWER]) == []


def test_a_step_is_an_answer_with_the_results_around_it() -> None:
    structured = ToolMessage("{}", tool_call_id="d")

    assert last_step([FIRST, CALL, RESULT, ANSWER]) == [RESULT, ANSWER]
    assert last_step([FIRST, CALL, structured]) == [CALL, structured]
    assert last_step([FIRST]) == []


def test_a_turn_begins_with_the_first_of_the_users_last_messages() -> None:
    assert this_turn([OLD, HELLO, *TURN]) == TURN
    assert this_turn([SUMMARY, CALL, RESULT, ANSWER]) == [CALL, RESULT, ANSWER]


def test_the_block_goes_to_the_users_last_message_then_to_a_notice_then_to_the_system() -> None:
    messages, system = with_context([OLD, HELLO, FIRST, SUMMARY], None, "BLOCK", "user")
    assert ([one.text for one in messages], system) == (
        ["Hello.", "Hello Ada.", "BLOCK\n\nPorto?", SUMMARY.text],
        None,
    )

    messages, _ = with_context([SUMMARY, CALL], None, "BLOCK", "user")
    assert messages[0].text == f"BLOCK\n\n{SUMMARY.text}"

    messages, system = with_context([CALL], None, "BLOCK", "user")
    assert (messages, system) == ([CALL], SystemMessage("BLOCK"))
