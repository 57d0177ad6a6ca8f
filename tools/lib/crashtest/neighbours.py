"""Acts for a deployment with neighbours: hosts that hang, a broker that moves, a pooler, a failover to
the standby, an outside service that is down. See acts.py."""
import signal
import time

from . import outside
from .acts import Act, kill_server, running_slot


def hang_host(name):
    def act(driver):
        seconds = driver.random.choice((1, 3) if driver.plan.hasty else (1, 3, 7, 12))
        if name not in driver.proxies or name in driver.held:
            return False
        driver.held.add(name)
        proxy = driver.proxies[name]
        proxy.hang()
        driver.journal.note("hang", name, f"the host of {name} takes connections and does not answer, "
                                          f"for {seconds} s")

        def answer():
            proxy.answer()
            driver.held.discard(name)
        driver.later(seconds, answer)
        return True
    return act


def hang_first_host(driver):
    """Hangs the standby's host: it matters to a starting process, which knows no good host."""
    slot = running_slot(driver)
    if not slot or not hang_host("standby")(driver):
        return False
    driver.journal.note("kill", str(slot), f"SIGKILL {slot}: it begins with a host that hangs")
    slot.kill()
    return True


def move_broker(driver):
    if "kafka" not in driver.servers or not driver.take_servers("kafka"):
        return False
    address = driver.proxies["kafka"].move()
    driver.deployment.advertise(address)
    driver.journal.note("move", "kafka", f"SIGKILL kafka, start as {address}")
    driver.restart_server("kafka", 0)
    return True


def kill_pooler(driver):
    seconds = driver.random.choice((0, 0, 1, 3))
    if not driver.take_servers("pooler"):
        return False
    driver.journal.note("pooler", "killed", f"SIGKILL pooler, start after {seconds} s")
    driver.restart_server("pooler", seconds)
    return True


def close_pooler(driver):
    """The pooler reconnects to Postgres; its clients stay connected."""
    at_once = driver.random.random() < 0.5
    if not driver.take_servers("pooler"):
        return False
    when = "at once" if at_once else "as they fall idle"
    driver.journal.note("pooler", "closed", f"pooler: its connections to Postgres are closed {when}")

    def close():
        if at_once:
            driver.deployment.database.cut_followers()
        else:
            driver.servers["pooler"].run("RECONNECT")
    driver.in_background(["pooler"], close)
    return True


def freeze_pooler(driver):
    seconds = driver.random.uniform(0.3, 8)
    if not driver.take_servers("pooler"):
        return False
    pooler = driver.servers["pooler"]
    driver.journal.note("pooler", "frozen", f"SIGSTOP pooler for {seconds:.1f} s")
    pooler.send(signal.SIGSTOP)

    def thaw():
        pooler.send(signal.SIGCONT)
        driver.give_servers("pooler")
    driver.later(seconds, thaw)
    return True


def fail_over(driver):
    """The primary ends before the standby is promoted, and does not return: a frozen one is killed
    while frozen."""
    database = driver.deployment.database
    how = driver.random.choice(("killed", "frozen"))
    wait_s = driver.random.choice((0, 0.5, 2))
    frozen_s = driver.random.choice((2, 4) if driver.plan.hasty else (2, 6, 20))
    if not driver.take_servers("postgres", "standby"):
        return False
    if not database.is_in_sync():
        driver.give_servers("postgres", "standby")
        return False
    driver.journal.note("failover", how, f"the primary is {how}, the standby promoted after {wait_s} s")
    if how == "killed":
        database.primary.kill()
    else:
        database.freeze_primary()

    def promote():
        time.sleep(wait_s)
        database.promote()
        driver.journal.say("  the standby is the primary")
        driver.later(frozen_s if how == "frozen" else 0, lambda: replace_old(driver))
    driver.in_background(["postgres"], promote)
    return True


def replace_old(driver):
    """Needs the new primary; retries while it is in use."""
    if not driver.take_servers("postgres"):
        driver.later(0.2, lambda: replace_old(driver))
        return

    def work():
        driver.deployment.database.replace_old()
        driver.journal.say("  a new standby has all")
    driver.in_background(["standby", "postgres"], work)


def fail_outside(driver):
    outage = driver.random.choice(outside.OUTAGES)
    seconds = driver.random.choice((0.5, 2, 5))
    service = driver.deployment.outside
    if service.outage:
        return False
    driver.journal.note("outage", outage, f"the outside service: {outage} for {seconds} s")
    service.fail(outage)
    driver.later(seconds, service.mend)
    return True


def rotate_password(name):
    """For a moment the password files and the server differ, also for a starting process."""
    def act(driver):
        files_first = driver.random.random() < 0.5
        gap_s = driver.random.choice((0, 0.3, 2))
        if not driver.take_servers(name):
            return False
        order = ("files", name) if files_first else (name, "files")
        driver.journal.note("rotate", name, f"another password of {name}: first for {order[0]}, "
                                            f"{gap_s} s later for {order[1]}")
        driver.in_background([name], lambda: driver.deployment.passwords[name].rotate(files_first, gap_s))
        return True
    return act


NEIGHBOUR_ACTS = (
    Act(3, "hang the host of Postgres", hang_host("postgres")),
    Act(3, "hang the first host of Postgres, which is the standby's", hang_first_host),
    Act(3, "hang the host of Redis", hang_host("redis")),
    Act(3, "hang the host of Kafka", hang_host("kafka")),
    Act(3, "kill the standby", kill_server("standby")),
    Act(3, "move Kafka to another address", move_broker),
    Act(3, "kill the pooler", kill_pooler),
    Act(3, "close the pooler's connections", close_pooler),
    Act(2, "freeze the pooler", freeze_pooler),
    Act(4, "failover to the standby", fail_over),
    Act(6, "fail the outside service", fail_outside),
    Act(3, "rotate the password of Postgres", rotate_password("postgres")),
    Act(3, "rotate the password of Redis", rotate_password("redis")),
)
