"""A program with a console, and a Chromium at its pages."""
import shutil

from browser import Browser
from stack import ROOT, free_port

KEY = "console-key-of-thirty-two-bytes!"
KEY_OF_LETTERS = "schlüssel-ключ-鍵-für-die-konsole"


class Pages:
    key = KEY

    def __init__(self, service, cleanup):
        self.service, self.port = service, free_port()
        self.folder = service.folder / "set"
        for name in ("scripts", "sql"):
            shutil.copytree(ROOT / name, self.folder / name)
        service.start(ADMIN_API_KEY=f"{KEY},{KEY_OF_LETTERS}", ADMIN_PORT=str(self.port),
                      SCRIPTS_ROOT=str(self.folder / "scripts"), SQL_ROOT=str(self.folder / "sql"))
        service.wait_ready()
        self.browser = Browser(f"http://127.0.0.1:{self.port}")
        cleanup.callback(self.browser.quit)

    def count_rejected(self, where="true"):
        return self.service.query("SELECT count(*) FROM aggregator_state.rejected_events "
                                  f"WHERE {where}")[0][0]
