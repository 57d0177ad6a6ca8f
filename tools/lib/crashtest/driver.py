"""Draws acts from a seed, runs them, and restarts ended processes and servers."""
import concurrent.futures
import heapq
import itertools
import random
import threading
import time

import psycopg2
import stack

from . import verify
from .slot import Fault

TICK_S = 0.05
# How long a process is frozen: longer than its session timeout (4 s) and the rebalance that follows,
# for which the embedded broker takes three seconds.
ZOMBIE_S = (5.5, 8)
ZOMBIE_EMBEDDED_S = (9, 11)
ZOMBIES = 5  # at most, until one was held off
ACT_LIMIT_S = 60  # until an act can be done


class Driver:
    def __init__(self, seed, deployment, plan, journal, choices):
        self.choices = choices
        self.random = random.Random(f"{seed}/acts")
        self.slots, self.proxies = deployment.slots, deployment.proxies
        self.deployment = deployment
        self.servers = deployment.servers
        self.zombie_s = ZOMBIE_S if "kafka" in self.servers else ZOMBIE_EMBEDDED_S
        # One long-lived thread each: a child's death signal comes when its parent thread ends.
        self.starters = {name: concurrent.futures.ThreadPoolExecutor(1) for name in self.servers}
        self.plan, self.journal = plan, journal
        self.faults = True
        self.held = set()
        self.down = set()
        self.lock = threading.Lock()  # of down and agenda
        self.agenda, self.numbers = [], itertools.count()
        self.problems = []
        self.stirred = time.monotonic()

    # ---- time ------------------------------------------------------------------------------

    def later(self, seconds, function):
        """Schedules function() on the driver's thread; callable from any thread."""
        with self.lock:
            heapq.heappush(self.agenda, (time.monotonic() + seconds, next(self.numbers), function))

    def next_due(self):
        """The next function that is due, or None."""
        with self.lock:
            if self.agenda and self.agenda[0][0] <= time.monotonic():
                return heapq.heappop(self.agenda)[2]
            return None

    def run_for(self, seconds):
        """Runs due functions and watches the processes."""
        end = time.monotonic() + seconds
        while True:
            while function := self.next_due():
                function()
            for slot in self.slots:
                self.watch(slot)
            if time.monotonic() >= end:
                return
            time.sleep(TICK_S)

    # ---- processes -------------------------------------------------------------------------

    def begin(self, slot):
        self.begin_with(slot, self.plan.deal() if self.faults else None)

    def begin_with(self, slot, fault):
        self.stirred = time.monotonic()
        self.deployment.mend(slot)  # what an author does before a restart
        slot.begin(fault)
        said = f", {fault.signal} at passing {fault.passings} of {fault.point}" if fault else ""
        self.journal.say(f"  start {slot}{said}")

    def begin_again(self, slot):
        """Starts it unless it was removed or started meanwhile."""
        if slot.wanted and not slot.running():
            self.begin(slot)

    def freeze(self, slot, seconds):
        slot.freeze()
        process = slot.program.process

        def thaw():
            if slot.program.process is process:
                self.journal.say(f"  SIGCONT {slot}")
                slot.thaw()
        self.later(seconds, thaw)

    def watch(self, slot):
        if slot.stopped_itself():
            point = slot.fault.point
            self.journal.note("fault freeze", point, f"{slot} froze itself at {point}")
            self.plan.settle(slot.fault, True)
            self.stirred = time.monotonic()
            slot.fault = None
            self.freeze(slot, self.plan.random.uniform(*self.zombie_s))
        elif slot.program.process and not slot.running():
            self.bury(slot)

    def bury(self, slot):
        reason, detail = slot.why_ended()
        self.plan.settle(slot.fault, reason == "fault")
        slot.program.process = None
        if reason == "fault":
            self.journal.note("fault kill", detail, f"{slot} killed itself at {detail}")
        elif reason == "died":
            self.problems.append(f"{slot} ended by itself with status {detail}")
            self.journal.say(f"!! {self.problems[-1]}")
        slot.fault = None
        if slot.wanted:
            self.later(self.plan.random.uniform(0, 0.5), lambda: self.begin_again(slot))

    def ask(self, sql):
        """The rows that the processes' database has for a query; None if it is down."""
        try:
            url = f"{self.deployment.database_url()}?connect_timeout=2"
            return None if "postgres" in self.down else verify.query(url, sql)
        except psycopg2.Error:
            return None

    # ---- servers ---------------------------------------------------------------------------

    def take_servers(self, *names):
        """Reserves servers for the caller until give_servers; False if one is in use."""
        with self.lock:
            if not self.servers.keys() >= set(names) or self.down & set(names):
                return False
            self.down |= set(names)
            return True

    def give_servers(self, *names):
        with self.lock:
            self.down -= set(names)

    def in_background(self, names, work):
        """Runs work() on the thread that may start the first of these servers, which the caller has
        taken, and gives them back."""
        def run():
            try:
                work()
            except Exception as error:  # nothing else would tell
                self.problems.append(f"{', '.join(names)}: {error!r}")
                self.journal.say(f"!! {self.problems[-1]}")
            self.give_servers(*names)
        self.starters[names[0]].submit(run)

    def restart_server(self, name, seconds):
        server = self.servers[name]
        server.kill()

        def start():
            time.sleep(seconds)
            server.start()
            self.journal.say(f"  {name} is back")
        self.in_background([name], start)

    # ---- the whole -------------------------------------------------------------------------

    def open_with_zombie(self, was_held_off):
        """The purest of them: it holds a transaction that it has not sent, and wakes up to send it
        when the others have taken over. Where a slow machine made its batch so large that some of it
        was sent, the others wait for it, and it may commit: then another one is made."""
        for _ in range(ZOMBIES):
            self.make_zombie()
            self.run_for(1)
            if was_held_off():
                return
            self.journal.note("kill", str(self.slots[0]), f"SIGKILL {self.slots[0]}: once more")
            self.slots[0].wanted = False
            self.slots[0].kill()
            stack.wait_until("its end", lambda: self.run_for(0) or not self.slots[0].program.process)

    def make_zombie(self):
        # Not the first batches, which are large: of a small one nothing is sent before COMMIT.
        fault = self.plan.arm(Fault("before_commit", 12, "STOP"))
        known = self.plan.reached["before_commit"]
        for slot in self.slots:
            if not slot.running():
                self.begin_with(slot, fault if slot is self.slots[0] else None)
        stack.wait_until("the zombie", lambda: self.run_for(0) or (
            self.plan.reached["before_commit"] > known and not self.slots[0].frozen), 60)

    def arm_idle(self):
        """Restarts processes without a fault point with one."""
        for slot in self.slots:
            if slot.running() and not slot.fault and not slot.frozen and not slot.ending:
                self.journal.note("kill", str(slot), f"SIGKILL {slot}: it has no fault")
                slot.kill()

    def kill_one_of_all(self):
        """The publishing process may wait for a rebalance, the others for its lease."""
        self.stirred = time.monotonic()  # not once more before it is started again
        slot = self.random.choice([slot for slot in self.slots if slot.running()] or [None])
        if slot and not slot.frozen and not slot.ending:
            self.journal.note("kill", str(slot), f"SIGKILL {slot}: no fault point was reached")
            slot.kill()

    def quiet_s(self):
        """Seconds since a process started or was found at a fault point."""
        return time.monotonic() - self.stirred

    def act(self):
        weights = [act.weight for act in self.choices]
        while not self.random.choices(self.choices, weights)[0].do(self):
            self.run_for(0)

    def act_once_each(self, choices, pause):
        """Runs them in random order; an act that is not possible now waits."""
        for act in self.random.sample(choices, len(choices)):
            stack.wait_until(act.name, lambda act=act: self.run_for(0) or act.do(self), ACT_LIMIT_S)
            self.run_for(self.random.uniform(*pause))

    def settle(self, said):
        """Stops dealing fault points, and waits until every server and process runs."""
        self.faults = False
        self.journal.say(said)
        for slot in self.slots:
            slot.wanted = True
        stack.wait_until("the deployment to be whole", self.whole, 120)

    def whole(self):
        self.run_for(0)
        for slot in self.slots:
            self.begin_again(slot)
            if slot.fault and slot.running() and not slot.frozen:
                self.journal.say(f"  {slot} is restarted without its fault")
                self.plan.settle(slot.fault, False)
                slot.fault = None
                slot.kill()
                slot.program.process.wait()  # or it would still count as running below
        with self.lock:
            up = not self.down
        return up and not self.agenda and all(slot.running() for slot in self.slots)
