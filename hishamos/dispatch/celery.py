"""Work on runs in other processes, on any number of machines: Celery carries the word that there is work, the store says which."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from hishamos.dispatch.dispatcher import Begin, Line
from hishamos.errors import BrokerError, RunHeld, UnknownName, WrongState

if TYPE_CHECKING:
    from celery import Celery

TASK = "hishamos.work"
SWEEP_S = 2.0
"""So often it is looked whether runs are queued that no message tells of."""
AT_ONCE = 200
"""So many messages are sent again in one sweep; more follow when these are taken."""
ENOUGH = 2_000
"""Where so many messages wait no other is sent: each says no more than that there is work."""
PASSED_OVER_S = 10.0
"""So long a worker leaves a run alone that it could not take."""
CONNECT_S = 2.0
LOOKS = 3
log = logging.getLogger(__name__)


def application(broker: str, name: str, work: Callable[[], object] | None = None) -> Celery:
    """Return the Celery application of a workspace: ``name`` is the same in all its processes, and in no other workspace.

    ``work``: what a worker does when it is told that there is work.

    The message is acknowledged when the work is done: that of a worker that was killed comes back after 8 to 10 s. Celery keeps no result,
    sets no limit and retries nothing, for limits, retries and results are the journal's.
    """
    try:
        import celery
    except ImportError as error:
        raise BrokerError(problem="Celery is not installed", where=shown(broker), next="Run: pip install 'hishamos[celery]'") from error
    made = celery.Celery("hishamos", broker=broker, set_as_current=False, fixups=[])
    made.conf.update(
        task_default_queue="runs",
        task_serializer="json",
        accept_content=["json"],
        result_backend=None,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": 8,
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
            "global_keyprefix": prefix(name),
            "socket_connect_timeout": CONNECT_S,
            "socket_keepalive": True,
        },
    )
    if work is not None:

        @made.task(name=TASK, acks_late=True, ignore_result=True)  # type: ignore[untyped-decorator]
        def told(run_id: str) -> None:  # noqa: ARG001 - the message's run is no more than a hint: the store says whose turn it is
            work()

    return made


def prefix(name: str) -> str:
    """Return how the names of all keys of a workspace begin in Redis."""
    return f"hishamos:{name}:"


def shown(broker: str) -> str:
    """Return the broker's address without its password."""
    scheme, _, rest = broker.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


class CeleryDispatcher:
    """Tells the workers that there is work. ``line``: who is next in the store.

    A message names the run that it was sent for, but whoever gets it takes the run whose turn it is. So a message that comes twice is
    harmless, and one that was lost is made good by a sweep: where runs are queued and no message waits, they are sent again.
    """

    def __init__(self, broker: str, name: str, line: Line) -> None:
        self._app = application(broker, name)
        self._line = line
        self.address = shown(broker)
        self._redis = _client(broker)
        self._key = f"{prefix(name)}runs"
        self._orders: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._down = False
        self._thread = threading.Thread(target=self._serve, name="broker", daemon=True)
        self._thread.start()

    def dispatch(self, run_id: str) -> None:
        """Tell the workers of the run; nobody waits for the broker, and while it is away the run stays queued in the store."""
        self._orders.put(run_id)

    def messages(self) -> int:
        """Return how many messages wait for a worker; raises :class:`BrokerError` where the broker does not answer."""
        try:
            return int(self._redis.llen(self._key))
        except Exception as error:
            problem = f"it does not answer: {str(error).strip() or type(error).__name__}"
            raise BrokerError(problem=problem, where=self.address, next="Start Redis, or correct [workspace] broker.") from error

    def close(self) -> None:
        """Send what was ordered, then stop."""
        self._orders.put(None)
        self._thread.join(CONNECT_S * 2)
        self._app.close()
        self._redis.close()

    def _serve(self) -> None:
        swept = time.monotonic()
        while True:
            try:
                run = self._orders.get(timeout=max(0.01, swept + SWEEP_S - time.monotonic()))
            except queue.Empty:
                self._guarded(self._sweep)
                swept = time.monotonic()
                continue
            if run is None:
                return
            self._guarded(partial(self._tell, run))

    def _sweep(self) -> None:
        if self._line(1) and not self.messages():
            for one in self._line(AT_ONCE):
                self._send(one.run)

    def _tell(self, run: str) -> None:
        if self.messages() < ENOUGH:
            self._send(run)

    def _send(self, run: str) -> None:
        self._app.send_task(TASK, args=[run], retry=False)

    def _guarded(self, action: Any) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever the broker's libraries raise: the run is safe in the store, the next sweep tries again
            if not self._down:
                log.warning("workers can't be told of work at %s, runs wait in the store meanwhile: %s", self.address, error)
            self._down = True
            return
        if self._down:
            log.warning("workers are told of work again at %s", self.address)
        self._down = False


class Taker:
    """A worker's side: takes the run whose turn it is and works on it to its end. Thread-safe.

    ``again``: tells the other workers of a run that this one handed back.
    """

    def __init__(self, begin: Begin, line: Line, again: Any) -> None:
        self._begin, self._line, self._again = begin, line, again
        self._taken: set[str] = set()
        self._passed_over: dict[str, float] = {}
        """Runs that could not be taken, and until when the others go before them."""
        self._lock = threading.Lock()
        self.closed = False

    def take(self) -> str | None:
        """Work on the next run until it ends, waits or is handed back, and return its id; None when there was none to take."""
        for _ in range(LOOKS):
            run = self._reserve()
            if run is None:
                return None
            try:
                future = self._begin(run)
                error = future.exception()
            finally:
                with self._lock:
                    self._taken.discard(run)
            if isinstance(error, (RunHeld, WrongState, UnknownName)):
                continue  # another worker was faster
            if error is not None:
                log.warning("run %s is left for a while, those after it go on: %s", run, error)
                with self._lock:
                    self._passed_over[run] = time.monotonic() + PASSED_OVER_S
                continue
            if future.result() == "queued":
                self._again(run)
            return run
        return None

    def _reserve(self) -> str | None:
        with self._lock:
            if self.closed:
                return None
            moment = time.monotonic()
            self._passed_over = {run: until for run, until in self._passed_over.items() if until > moment}
            passed = self._taken | self._passed_over.keys()
            for one in self._line(len(passed) + 1):
                if one.run not in passed:
                    self._taken.add(one.run)
                    return one.run
        return None


def _client(broker: str) -> Any:
    import redis

    return redis.Redis.from_url(broker, socket_connect_timeout=CONNECT_S, socket_timeout=CONNECT_S)
