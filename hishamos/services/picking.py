"""Picks an agent for a task by stated weights, and says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from pydantic import ValidationError

from hishamos.errors import InvalidInput, nearest_hint
from hishamos.records.definitions import AgentDefinition
from hishamos.records.picking import Candidate, Pick, PickWeights, TrackRecord
from hishamos.text.matching import matches, shared
from hishamos.text.words import name_words

CRITERIA = tuple(PickWeights.model_fields)
CERTAIN = 0.02
"""A match below this is chance: some pieces of words."""
PRIOR_CALLS, PRIOR_SUCCESS = 5, 0.8
"""An agent without a history is held to have had five calls, four of them answered; its own calls outweigh them soon."""
PRIOR_RATINGS, PRIOR_RATING = 2, 3.0
"""Likewise two ratings in the middle, 3 of 5."""
NEUTRAL = 0.5
"""What cost and speed count where nothing is known, and at the median of those that are."""
SHOWN = 3


def weights_of(given: Mapping[str, float] | None) -> PickWeights:
    """Return the weights with those given in place of the usual ones; raises :class:`InvalidInput`."""
    for name in given or {}:
        if name not in CRITERIA:
            raise InvalidInput(what=f"there is no weight {name!r}{nearest_hint(name, list(CRITERIA))}", where="weights", next=f"Known: {', '.join(CRITERIA)}.")
    try:
        weights = PickWeights(**(given or {}))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidInput(what=f"{first['loc'][0]}: {first['msg']}", where="weights", next="Give numbers from 0 on.") from None
    if not sum(getattr(weights, name) for name in CRITERIA):
        raise InvalidInput(what="all weights are 0", where="weights", next="Let at least one criterion count.")
    return weights


def pick(task: str, agents: Sequence[AgentDefinition], records: Mapping[str, TrackRecord], weights: PickWeights) -> Pick:
    """Return the pick among ``agents``, at least one. Equal scores are told apart by the name, the first in the alphabet before the others."""
    found = matches(task, [_profile(agent) for agent in agents])
    best = max(found)
    matched = best >= CERTAIN
    known = [records.get(agent.name, TrackRecord(agent=agent.name)) for agent in agents]
    costs = [float(record.cost_nanos) for record in known if record.cost_nanos is not None]
    times = [record.latency_ms for record in known if record.latency_ms is not None]
    total = sum(getattr(weights, name) for name in CRITERIA)
    candidates = []
    for agent, match, record in zip(agents, found, known, strict=True):
        criteria = {
            "capability": match / best if matched else 0.0,
            "success": (record.answered + PRIOR_CALLS * PRIOR_SUCCESS) / (record.calls + PRIOR_CALLS),
            "rating": (_rated(record) - 1) / 4,
            "load": 1 / (1 + record.under_way),
            "cost": _against(record.cost_nanos, costs),
            "speed": _against(record.latency_ms, times),
        }
        score = sum(getattr(weights, name) * value for name, value in criteria.items()) / total
        why = _why(task, agent, record, criteria["capability"])
        rounded = {name: round(value, 4) for name, value in criteria.items()}
        candidates.append(Candidate(agent=agent.name, description=agent.description, score=round(score, 4), why=why, record=record, **rounded))
    candidates.sort(key=lambda one: (-one.score, one.agent))
    first = candidates[0]
    why = f"{first.agent}: {first.why}" if matched else f"Nothing in the task matches what an agent can do; {first.agent} leads by the other criteria."
    return Pick(task=task, agent=first.agent, why=why, matched=matched, weights=weights, candidates=tuple(candidates))


def _profile(agent: AgentDefinition) -> str:
    """What an agent says of itself, in the order of its weight: name and capabilities count thrice, description and tags twice."""
    capabilities = " ".join(" ".join(name_words(name)) for name in (agent.name, *agent.capabilities))
    return " ".join([capabilities] * 3 + [agent.description, " ".join(agent.tags)] * 2 + [agent.instructions])


def _rated(record: TrackRecord) -> float:
    points = 0.0 if record.rating is None else record.rating * record.ratings
    return (points + PRIOR_RATINGS * PRIOR_RATING) / (record.ratings + PRIOR_RATINGS)


def _against(value: float | None, others: Sequence[float]) -> float:
    """Return 0.5 for the median, towards 1 for less, towards 0 for more."""
    if value is None:
        return NEUTRAL
    middle = median(others)
    return NEUTRAL if not middle and not value else middle / (middle + value)


def _why(task: str, agent: AgentDefinition, record: TrackRecord, capability: float) -> str:
    words = [name.replace("_", " ") for name in shared(task, (*agent.capabilities, *agent.tags))[:SHOWN]]
    match = f"matches {', '.join(words)} ({capability:.2f} of the best)" if words else f"matches by single words only ({capability:.2f} of the best)"
    done = f"answered {record.answered} of {record.calls} calls" if record.calls else "no call yet, so held to be average"
    rated = f", rated {record.rating:.1f} of 5 by {record.ratings}" if record.rating is not None else ""
    load = f", {record.under_way} under way" if record.under_way else ""
    return f"{match}; {done}{rated}{load}."
