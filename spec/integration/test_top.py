"""aggregator top on a terminal of its own."""
import re
import signal
import termios

import pytest
from harness import read_records
from terminal import CONTROL, Terminal, plain

PAGE_START, LEAVE = "\x1b[H", "\x1b[?25h\x1b[?1049l"


@pytest.fixture
def top(service):
    """top(columns, rows): the command on a terminal, which shows a page with rates."""
    made = []

    def start(columns=80, rows=24):
        terminal = Terminal([service.build / "aggregator", "top", *service.program.options],
                            service.program.env, columns, rows)
        made.append(terminal)
        terminal.wait_for(lambda screen: "0/s" in screen)
        return terminal
    yield start
    for terminal in made:
        terminal.close()


def pages(screen):
    """The complete pages, as lines of what is seen."""
    return [plain(page).split("\r\n") for page in screen.split(PAGE_START)[1:-1]]


def see(terminal, text):
    """Waits for the text in a page that begins after this call."""
    begin = len(terminal.screen)
    terminal.wait_for(lambda screen: any(text in "\n".join(page) for page in pages(screen[begin:])))
    return next(page for page in pages(terminal.screen[begin:]) if text in "\n".join(page))


def attributes(terminal):
    return termios.tcgetattr(terminal.master)


def test_pages_fit_80x24_and_follow_keys_and_events(service, top):
    terminal = top()
    service.feed("current-hard", rate=200, wait=False)
    terminal.wait_for(lambda screen: re.search(r"events    [1-9][0-9]*/s", screen))
    service.wait_committed(len(read_records("current-hard")))
    see(terminal, "event rejected (14 times)")
    terminal.type("2")
    see(terminal, "PARTITION")
    terminal.type("3")
    see(terminal, "handlers/essay_slot_assigned")
    terminal.type("s")
    see(terminal, "s sort (p99)")
    terminal.type("4")
    see(terminal, "LAST WARNINGS AND ERRORS")
    for page in pages(terminal.screen):
        assert len(page) <= 24 and max(map(len, page)) <= 80, page
        assert page[-1].startswith("q quit  p pause"), page
    terminal.type("q")
    assert terminal.finish() == 0


def test_a_paused_page_stands_still(top):
    terminal = top()
    terminal.type("p")
    paused = see(terminal, "PAUSED")
    assert see(terminal, "PAUSED") == paused
    terminal.type("p")
    terminal.wait_for(lambda screen: "PAUSED" not in "\n".join(pages(screen)[-1]))


def test_it_follows_the_size_of_the_terminal(top):
    terminal = top()
    terminal.resize(120, 40)
    terminal.wait_for(lambda screen: max(map(len, pages(screen)[-1])) == 120)
    assert len(pages(terminal.screen)[-1]) <= 40
    terminal.resize(40, 10)
    terminal.wait_for(lambda screen: len(pages(screen)[-1]) == 10)
    assert max(map(len, pages(terminal.screen)[-1])) <= 40


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130), (None, 0)])
def test_the_terminal_is_restored_at_each_end(top, number, status):
    terminal = top()
    assert attributes(terminal) != terminal.before and "\x1b[?1049h" in terminal.screen
    if number:
        terminal.process.send_signal(number)
    else:
        terminal.type("\x1cq")  # Ctrl-\\ does nothing
    terminal.wait_for(lambda screen: screen.endswith(LEAVE))
    assert terminal.finish() in (status, -(number or 0))
    assert "stopping" not in terminal.screen
    assert attributes(terminal) == terminal.before


def test_it_says_that_the_program_ended_and_shows_the_next_one(service, top):
    terminal = top()
    service.program.stop()
    see(terminal, "no aggregator answers at admin.socket")
    service.program.start()
    see(terminal, "events    ")


def test_once_prints_a_page_for_pipes(service):
    page = service.program.command("top", "--once").stdout
    assert not CONTROL.search(page) and "events    0/s" in page and "q quit" not in page
    for part in ("TOPIC", "SCRIPT", "routes/batch_status", "database healthy"):
        assert part in page


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_a_terminal_that_cannot_redraw_gets_no_control_sequence(bare_service, kind):
    program = bare_service.prepare()
    terminal = Terminal([bare_service.build / "aggregator", "top", *program.options], program.env,
                        kind=kind)
    assert terminal.finish() == 1
    assert f"this terminal (TERM={kind}) cannot redraw; --once prints one page" in terminal.screen
    assert "\x1b" not in terminal.screen
    terminal.close()


def test_without_a_terminal_or_a_program_it_fails(service, bare_service):
    refused = service.program.command("top", check=False)
    assert refused.returncode == 1 and "--once prints one page" in refused.stderr
    absent = bare_service.prepare().command("top", "--once", check=False)
    assert absent.returncode == 1 and "no aggregator answers" in absent.stderr
