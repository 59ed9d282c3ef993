"""A process that runs an agent in a DBOS workflow, and may end in the middle of it: `python ... FOLDER die|live`."""

import json
import os
import sys
import time
from pathlib import Path

from dbos import DBOS
from memori import Attribution, Memori, hookimpl
from memori_pydantic_ai import MemoriMemory
from pydantic_ai import Agent
from pydantic_ai.durable_exec.dbos import DBOSDurability

from tests.pydantic_ai.agents import Recalls, Script, blocks, said

folder, ending = Path(sys.argv[1]), sys.argv[2]


class Ending:
    """A plugin that ends the process once messages are stored, before the workflow's step is recorded."""

    @hookimpl
    def memori_recorded(self) -> None:
        if ending == "die":
            os._exit(9)


script, recalls = Script(), Recalls()
memori = Memori(f"sqlite:///{folder / 'memory.db'}", extractor="none", embedder="hashing", plugins=[recalls, Ending()])
memori.remember("Ada drinks green tea.", attribution=Attribution("ada"))
memory = MemoriMemory(memori, lambda ctx: Attribution(ctx.deps), recall_timeout=30)
DBOS(
    config={
        "name": "memori-test",
        "system_database_url": f"sqlite:///{folder / 'dbos.db'}",
        "run_admin_server": False,
        "log_level": "ERROR",
        "application_version": "1",
    }
)
agent = Agent(script.model, name="host", deps_type=str, capabilities=[memory, DBOSDurability()])


@agent.tool_plain
def look_up() -> str:
    return "nothing special"


@DBOS.workflow()
def talk(prompt: str) -> str:
    return agent.run_sync(prompt, deps="ada").output


DBOS.launch()
if ending == "die":
    DBOS.start_workflow(talk, "What tea do I drink?")
    time.sleep(60)
(workflow,) = DBOS.list_workflows()
answer = DBOS.retrieve_workflow(workflow.workflow_id).get_result()
report = {
    "answer": answer,
    "stored": said(memori, "ada"),
    "recalls": recalls.queries,
    "requests": [len(blocks(sent)) for sent in script.sent],
    "steps": [step["function_name"] for step in DBOS.list_workflow_steps(workflow.workflow_id)],
}
sys.stdout.write(json.dumps(report))
DBOS.destroy()
memori.close()
