"""Rotates passwords while processes run, which read their URLs from files."""
import os
import secrets
import time
import urllib.parse

USER = "service"  # the role of Postgres, the user of Redis


def fresh():
    """With what ends a part of a URL."""
    return f"@/%{secrets.token_hex(8)}"


class Password:
    """change(password) makes the server take no other from then on, and closes the connections that
    were made with another."""

    def __init__(self, change):
        self.change = change
        self.text = fresh()
        self.urls = {}  # by file; {} stands for the password

    def write(self):
        """Writes files atomically: a process may read at any moment."""
        for path, url in self.urls.items():
            new = path.with_suffix(".new")
            new.touch(0o600)
            new.write_text(url.format(urllib.parse.quote(self.text, safe="")) + "\n")
            new.rename(path)

    def tell(self, variable, path, url):
        """Writes the file; the environment that tells a process."""
        self.urls[path] = url
        self.write()
        return {variable: "", f"{variable}_FILE": os.fspath(path)}

    def rotate(self, files_first, gap_s):
        self.text = fresh()
        if files_first:
            self.write()
            time.sleep(gap_s)
            self.change(self.text)
        else:
            self.change(self.text)
            time.sleep(gap_s)
            self.write()
