"""The verdict at the top of each report: one paragraph in plain words, for lawyers too."""

from __future__ import annotations

from manatee.provisioning.reports._compared import ComparedNumbers
from manatee.provisioning.reports._promise import Promise
from manatee.provisioning.reports._released import ReleasedNumbers
from manatee.provisioning.reports._task import TaskUtility


def promise_in_words(promise: Promise) -> str:
    """Return what the guarantee means in one or two sentences."""
    if promise.epsilon is None:
        return (
            "There is no formal privacy guarantee for this release: what it reveals about a "
            "person depends on what others know."
        )
    return (
        f"Whatever anyone learns from this release, they would learn almost the same if any "
        f"{promise.unit} had not been in the data: differential privacy with "
        f"epsilon = {promise.epsilon:g} and delta = {promise.delta:g} "
        f"({promise.relation}). {_meaning(promise.epsilon)}"
    )


def _meaning(epsilon: float) -> str:
    if epsilon <= 1:
        strength = "a strong promise"
    elif epsilon <= 4:
        strength = "a moderate promise"
    else:
        strength = "a weak promise"
    return (
        f"That is {strength}: chances of anything that happens to a person because of the release "
        f"change by a factor of at most {_factor(epsilon)}."
    )


def _factor(epsilon: float) -> str:
    return f"{2.718281828459045**epsilon:,.2g}" if epsilon < 20 else "over 100 million"


def released_verdict(numbers: ReleasedNumbers) -> str:
    """Return the shareable report's paragraph."""
    broken = sum(rule.broken for rule in numbers.rules)
    sentences = [promise_in_words(numbers.promise)]
    if not numbers.rules:
        pass
    elif broken:
        sentences.append("The twin breaks rules of its contract: see below.")
    else:
        sentences.append("The twin keeps every rule of its contract.")
    sentences.append(
        "This report was made from the twin and from numbers released under the same promise; it "
        "tells nothing more about the real data and may be passed on with the twin."
    )
    return " ".join(sentences)


def compared_verdict(numbers: ComparedNumbers) -> str:
    """Return the provider's paragraph: may the twin be handed on, and what is it good for?"""
    problems = []
    if numbers.copies:
        problems.append(
            f"values of the real table occur in it far more often than chance explains "
            f"({', '.join(numbers.copies)})"
        )
    if numbers.refuted:
        problems.append(
            f"attackers did better than the promise allows ({', '.join(numbers.refuted)})"
        )
    if numbers.broken:
        problems.append("it breaks rules of its contract")
    if problems:
        # What a check has put in doubt is not stated as a fact.
        opening = f"Do not hand this twin on yet: {'; '.join(problems)}."
        claim = _claim_in_words(numbers.promise)
        return " ".join(filter(None, [opening, claim, _use(numbers)]))
    if numbers.promise.epsilon is None:
        opening = "No check failed, but there is no formal privacy guarantee either."
    else:
        opening = "No check speaks against handing this twin on."
    if not numbers.attacks:
        opening += " Attacks were not tried."
    return " ".join([opening, promise_in_words(numbers.promise), _use(numbers)])


def _claim_in_words(promise: Promise) -> str:
    if promise.epsilon is None:
        return ""
    return (
        f"Its statement claims differential privacy with epsilon = {promise.epsilon:g} and "
        f"delta = {promise.delta:g}; do not rely on it before this is explained."
    )


def _use(numbers: ComparedNumbers) -> str:
    sentences = []
    for table in numbers.tables:
        where = f"In {table.table}, on" if len(numbers.tables) > 1 else "On"
        if table.marginals:
            sentences.append(
                f"{where} average {100 * table.mean_tvd:.1f}% of the rows would have to change for "
                f"a column to look like the real one, and {100 * table.pairs.mean:.1f}% for a pair "
                f"of columns."
            )
        sentences.extend(_task(task) for task in table.tasks)
    return " ".join(sentences)


def _task(task: TaskUtility) -> str:
    tried = [(model.twin, model.real) for model in task.models if model.twin is not None]
    if not tried:
        return f"No model that predicts {task.target} could be trained on the twin."
    learned, real = min(twin for twin, _ in tried), min(model.real for model in task.models)
    if learned >= task.guessing:
        worth = "no better than guessing: do not use the twin for it"
    elif task.guessing > real and (task.guessing - learned) >= 0.7 * (task.guessing - real):
        worth = "nearly as good as one trained on real rows"
    else:
        worth = "better than guessing and worse than one trained on real rows"
    return f"A model that predicts {task.target}, trained on the twin, is {worth}."
