"""``ws.providers``: where models are served."""

from __future__ import annotations

from builtins import list as List  # noqa: N812 - every contract has a verb named list
from concurrent.futures import Future
from datetime import timedelta

from hishamos.contracts.services import Providers
from hishamos.contracts.units import unit
from hishamos.errors import InvalidInput, UnknownName
from hishamos.records.calls import CommandResult, Message, ModelRequest
from hishamos.records.record import now
from hishamos.records.workspaces import Finding, ProviderStatus
from hishamos.security import redact
from hishamos.services.approved_tools import server_findings
from hishamos.services.questions import ask
from hishamos.services.service import Service, implements
from hishamos.services.workforce import findings as work_findings
from hishamos.store import schedules
from hishamos.store import spend as questions

OF_LATE = timedelta(hours=24)
TRIAL = "Answer with the one word: ready"
TRIAL_TOKENS = 256
"""The answer has one or two; the rest is room for a model that thinks first."""


@implements(Providers)
class ProvidersService(Service):
    """Providers of one workspace for one actor."""

    def list(self) -> List[ProviderStatus]:
        since = now() - OF_LATE
        figures = questions.providers_of_late(self.machinery.store, since)
        found = []
        for status in self._statuses():
            row = figures.get(status.name, {})
            facts = {name: row[name] for name in ("attempts", "failed", "cost_nanos", "p50_ms", "p95_ms", "ttft_ms") if row.get(name) is not None}
            found.append(status.model_copy(update={**facts, "last_error": questions.last_error(self.machinery.store, status.name, since)}))
        return found

    def models(self) -> List[str]:
        return [*self.machinery.gateway.targets()]

    def test(self, name: str) -> CommandResult:
        return self.test_later(name).result()

    def test_later(self, name: str) -> Future[CommandResult]:
        """The answer of :meth:`test`, at once as a future."""
        request = ModelRequest(target=self._model(name), messages=(Message(role="user", content=TRIAL),), max_output_tokens=TRIAL_TOKENS)
        return ask(self, request, key=None, project=None, command=None, agent=None, repairs=0, what=f"test of {request.target}")

    def _model(self, name: str) -> str:
        """Return the model that a test of ``name`` asks: itself, or the first that the routes name of a provider."""
        if "/" in name:
            return name
        known = {status.name: status for status in self.machinery.gateway.providers()}
        if name not in known:
            raise UnknownName.among("provider", name, list(known), "See: hishamos providers")
        if known[name].state in ("no key", "misconfigured"):
            raise InvalidInput(what=f"{name}: {known[name].state}", where="test of a provider", next=known[name].advice)
        if not known[name].models:
            advice = f"Name a model: hishamos providers --test {name}/MODEL"
            raise InvalidInput(what=f"no route names a model of {name}", where="test of a provider", next=advice)
        return known[name].models[0]

    def diagnose(self, *, network: bool = True) -> List[Finding]:
        settings = self.machinery.settings()
        broken = self.machinery.settings_error()
        findings = [
            Finding(subject="workspace", state="ok", found=str(self.machinery.root)),
            Finding(subject="hishamos.toml", state="problem", found=broken, advice="Mend it; the last good version is in use.")
            if broken
            else Finding(subject="hishamos.toml", state="ok" if settings.file else "note", found=settings.file or "none; defaults are in use"),
        ]
        findings += work_findings(self.machinery) + server_findings(settings.mcp)
        statuses = self._statuses()
        reached = {finding.subject: finding for finding in (self.machinery.gateway.reach() if network else ())}
        known = [_finding(status) for status in statuses]
        findings += [reached.pop(finding.subject, finding) if finding.state == "ok" else finding for finding in known]
        findings += reached.values()
        usable = [name for name in self.machinery.gateway.targets() if not name.startswith("offline/")]
        if usable:
            findings.append(Finding(subject="models", state="ok", found=", ".join(usable)))
        else:
            advice = "Set one of OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or OLLAMA_HOST, or name the offline model: --model offline/extractive"
            findings.append(Finding(subject="models", state="note", found="no provider is ready; only offline/extractive can be used", advice=advice))
        unpriced = [name for name in usable if "/" in name and self.machinery.gateway.prices.price(name) is None]
        findings += [
            Finding(subject=name, state="note", found="unpriced", advice=f'Add to hishamos.toml: [prices."{name}"] input = "…" output = "…"')
            for name in unpriced
        ]
        broken_files = self.machinery.catalog.problems()
        findings += [Finding(subject=f"definition {error.where}", state="problem", found=str(error.problem), advice=str(error.next)) for error in broken_files]
        return [*findings, *self._schedules()]

    def _statuses(self) -> List[ProviderStatus]:
        """Return the providers as they are told: an address may hold a password."""
        return [
            status.model_copy(update={"api_base": status.api_base and redact(status.api_base), "advice": redact(status.advice)})
            for status in self.machinery.gateway.providers()
        ]

    def _schedules(self) -> List[Finding]:
        """Schedules are kept only while a server runs: say whether one is kept up, and what went wrong last."""
        enabled = [one for one in schedules.found(self.machinery.store) if one.enabled]
        if not enabled:
            return []
        known = unit(self.machinery.root)
        words = "1 schedule is enabled" if len(enabled) == 1 else f"{len(enabled)} schedules are enabled"
        kept = f"{words}; {known.name} keeps the server up" if known.installed else f"{words}, and nothing starts the server after a restart of the machine"
        advice = "" if known.installed else "Install a unit for it: hishamos serve --install"
        findings = [Finding(subject="schedules", state="ok" if known.installed else "note", found=kept, advice=advice)]
        return findings + [
            Finding(subject=f"schedule {one.name}", state="note", found=one.problem, advice=f"See: hishamos schedule show {one.name}")
            for one in enabled
            if one.problem
        ]


def _finding(status: ProviderStatus) -> Finding:
    where = f" at {status.api_base}" if status.api_base else ""
    key = f", key from {status.key}" if status.key else ""
    state = "ok" if status.state in ("ready", "offline") else "problem"
    return Finding(subject=f"provider {status.name}", state=state, found=f"{status.state}{where}{key}", advice=status.advice)
