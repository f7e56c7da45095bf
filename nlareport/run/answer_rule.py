"""Re-judges the answers in a run file of an earlier version by the rule that says today what a clean answer is.

No model is needed: every answer is stored whole, and the rule needs no more.
"""

from dataclasses import replace

from nlareport.checkpoints.answers import ANSWER_RULE
from nlareport.experiment.experiment_file import Experiment
from nlareport.rows.item_rows import Ablation, AnswerMark, Explanation
from nlareport.stages.verbalize import judge_again
from nlareport.store.run_file import RunFile


def judge_by_rule(run_file: RunFile, experiment: Experiment) -> None:
    """Judges the run's answers again unless they were judged by this rule; all of them in one transaction, or none.

    Where that changes an explanation, ablations of its former text are dropped, and the run is scored again.
    """
    run = run_file.run()
    if run.environment.get("answer_rule") == ANSWER_RULE:
        return
    stored = {(row.source, row.draw, row.item_id): row for row in run_file.rows(Explanation)}
    said = judge_again(list(stored.values()), experiment.decoding.max_new_tokens)
    changed = {(row.source, row.draw, row.item_id): row for row in said.explanations}
    changed = {key: row for key, row in changed.items() if row != stored[key]}
    environment = {**run.environment, "answer_rule": ANSWER_RULE}
    with run_file.transaction():
        if changed:
            environment.pop("scored", None)
            kept = [row for row in run_file.rows(Ablation) if (row.source, row.draw, row.item_id) not in changed]
            run_file.replace({Ablation: kept})
            run_file.put(list(changed.values()))
        run_file.replace({AnswerMark: said.marks})
        run_file.put([replace(run, environment=environment)])
