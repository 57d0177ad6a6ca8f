"""What is done to the processes and their servers. An act is drawn with its weight; its function takes
the driver, and returns False where it cannot be done now (the server is down already). Every act brings
back what it broke."""
import collections
import signal

from . import outbox, retention, slips

Act = collections.namedtuple("Act", "weight name do")

SERVERS = ("postgres", "redis", "kafka")


def running_slot(driver):
    slots = [slot for slot in driver.slots if slot.running() and not slot.frozen]
    return driver.random.choice(slots) if slots else None


def end_program(word, signal):
    """word: of the journal, and the slot's method."""
    def act(driver):
        slot = running_slot(driver)
        if not slot:
            return False
        driver.journal.note(word, str(slot), f"{signal} {slot}")
        getattr(slot, word)()
        return True
    return act


def freeze_program(driver):
    slot = running_slot(driver)
    seconds = driver.random.uniform(*driver.zombie_s)
    if not slot:
        return False
    driver.journal.note("freeze", str(slot), f"SIGSTOP {slot} for {seconds:.1f} s")
    driver.freeze(slot, seconds)
    return True


def kill_publisher(driver):
    slot = outbox.publisher(driver)
    if not slot or slot.frozen:
        return False
    driver.journal.note("kill", str(slot), f"SIGKILL {slot}, which publishes")
    slot.kill()
    return True


def freeze_publisher(driver):
    """Another process takes its lease; then it resumes with the messages of its Kafka client."""
    slot = outbox.publisher(driver)
    seconds = driver.random.uniform(*outbox.BEYOND_LEASE_S)
    if not slot or slot.frozen or slot.ending:
        return False
    driver.journal.note("freeze", str(slot), f"SIGSTOP {slot}, which publishes, for {seconds:.1f} s")
    driver.freeze(slot, seconds)
    return True


def reload_program(driver):
    slot = running_slot(driver)
    if not slot or slot.ending or slot.is_young():
        return False
    driver.deployment.edit_scripts()
    driver.journal.note("reload", str(slot), f"other scripts, SIGHUP {slot}")
    slot.program.send(signal.SIGHUP)
    return True


def reload_slip(driver):
    slot = running_slot(driver)
    name = driver.random.choice(sorted(slips.SLIPS))
    seconds = driver.random.uniform(1, 3)
    if not slot or slot.ending or slot.is_young():
        return False
    process = slot.program.process
    driver.deployment.slip(slot, name)
    driver.journal.note("slip", name, f"{name}, SIGHUP {slot}")
    slot.program.send(signal.SIGHUP)

    def mend():
        if slot.program.process is process and slot.running():
            driver.deployment.mend(slot)
            driver.journal.say(f"  mended, SIGHUP {slot}")
            slot.program.send(signal.SIGHUP)
    driver.later(seconds, mend)
    return True


def add_program(driver):
    slot = next((slot for slot in driver.slots if not slot.wanted and not slot.running()), None)
    if not slot:
        return False
    driver.journal.note("scale", "added", f"add {slot}")
    driver.begin(slot)
    return True


def remove_program(driver):
    slots = [slot for slot in driver.slots if slot.wanted]
    slot = running_slot(driver)
    if len(slots) < 3 or not slot:
        return False
    driver.journal.note("scale", "removed", f"remove {slot} (SIGTERM)")
    slot.wanted = False
    slot.term()
    return True


def kill_server(name):
    def act(driver):
        seconds = driver.random.choice((0, 0, 0.5, 2))
        if not driver.take_servers(name):
            return False
        driver.journal.note("kill", name, f"SIGKILL {name}, start after {seconds} s")
        driver.restart_server(name, seconds)
        return True
    return act


def freeze_server(driver):
    name = driver.random.choice(SERVERS)
    seconds = driver.random.uniform(0.3, 4)
    if not driver.take_servers(name):
        return False
    driver.journal.note("freeze", name, f"SIGSTOP {name} for {seconds:.1f} s")
    server = driver.servers[name]
    server.send(signal.SIGSTOP)

    def thaw():
        server.send(signal.SIGCONT)
        driver.give_servers(name)
    driver.later(seconds, thaw)
    return True


def cut(driver):
    name = driver.random.choice(SERVERS)
    every = driver.random.choice((1, 1, 2, 3))
    if name not in driver.proxies:
        return False
    count = driver.proxies[name].cut(every)
    driver.journal.note("cut", name, f"cut {count} connections to {name}")
    return True


def delay(driver):
    name = driver.random.choice(SERVERS)
    seconds = driver.random.choice((0.1, 0.3, 1, 3, 6))
    then_cut = driver.random.random() < 0.4
    if name not in driver.proxies or name in driver.held:
        return False
    then = ", then cut" if then_cut else ""
    driver.journal.note("delay", name, f"hold all bytes to and from {name} for {seconds} s{then}")
    driver.held.add(name)
    proxy = driver.proxies[name]
    proxy.hold()

    def release():
        if then_cut:
            proxy.cut()
        proxy.release()
        driver.held.discard(name)
    driver.later(seconds, release)
    return True


ACTS = (
    Act(18, "kill a process", end_program("kill", "SIGKILL")),
    Act(6, "end a process in order", end_program("term", "SIGTERM")),
    Act(10, "freeze a process beyond its session timeout", freeze_program),
    Act(8, "kill the process that publishes", kill_publisher),
    Act(6, "freeze the process that publishes beyond its lease", freeze_publisher),
    Act(8, "add a process", add_program),
    Act(3, "remove a process", remove_program),
    Act(24, "reload with other scripts", reload_program),
    Act(30, "reload with a slip in a script", reload_slip),
    Act(6, "move the horizon of the retention", retention.move_horizon),
    Act(9, "kill Postgres", kill_server("postgres")),
    Act(9, "kill Redis", kill_server("redis")),
    Act(4, "kill Kafka", kill_server("kafka")),
    Act(5, "freeze a server", freeze_server),
    Act(22, "cut connections to a server", cut),
    Act(12, "delay all bytes to and from a server", delay),
)
