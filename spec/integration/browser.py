"""A Chromium without a window, for the tests of the console, by Debian's chromium-driver."""
import contextlib

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from stack import wait_until

# A root user's Chromium has no sandbox; /dev/shm of a container is small.
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
           "--hide-scrollbars", "--no-first-run", "--disable-background-networking")


class Browser:
    def __init__(self, origin):
        options = webdriver.ChromeOptions()
        for option in OPTIONS:
            options.add_argument(option)
        options.set_capability("acceptInsecureCerts", True)  # of a test's own authority
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.origin = origin
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_script_timeout(300)
        self.size(1280)

    def quit(self):
        self.driver.quit()

    def size(self, width, height=900):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def prefer(self, **features):
        """prefers-color-scheme and the like, with _ for -."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()]})

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait_script(self, script, *arguments):
        """What a script with `await` returns."""
        return self.driver.execute_async_script(
            "const given = [...arguments], done = given.pop();"
            f"(async (...arguments) => {{ {script} }})(...given).then(done, (e) => done(String(e)))",
            *arguments)

    @contextlib.contextmanager
    def response_held(self, path):
        """The next response whose URL has `path` waits from the time it is whole. At the end, after the
        page has taken it, the block's effect can be looked at again."""
        self.run("""
          const [path] = arguments, real = window.fetch;
          window.fetch = async (...request) => {
            if (!String(request[0]).includes(path)) return real(...request);
            window.fetch = real;
            const response = await real(...request), text = await response.text();
            await new Promise((release) => { window.releaseHeld = release; });
            return { status: response.status, text: async () => text };
          };""", path)
        yield lambda: wait_until(f"a held response of {path}", lambda: self.run("return !!window.releaseHeld"))
        self.wait_script("window.releaseHeld(); delete window.releaseHeld;"
                         "await new Promise((done) => setTimeout(done));")

    def find(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def wait(self, selector, text=""):
        """The first element with the text, once there is one."""
        script = ("return [...document.querySelectorAll(arguments[0])].find((one) => "
                  "one.checkVisibility() && one.innerText.includes(arguments[1]))")
        return wait_until(f"{selector} with {text!r}", lambda: self.run(script, selector, text))

    def wait_gone(self, selector):
        wait_until(f"no {selector}", lambda: not self.find(selector))

    def click(self, selector, text=""):
        """As a script does: what covers it for a moment, as a message, does not matter."""
        self.run("arguments[0].click()", self.wait(selector, text))

    def keys(self, *keys):
        """To what has the focus."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self):
        return self.driver.switch_to.active_element

    def open(self, page=""):
        """Another page of the console, or the console."""
        if page and self.driver.current_url.startswith(f"{self.origin}/console"):
            self.run("location.hash = arguments[0]", f"#/{page}")
        else:
            self.driver.get(f"{self.origin}/console#/{page}")

    def sign_in(self, key):
        self.driver.delete_all_cookies()
        self.driver.get(f"{self.origin}/console")
        self.wait("#key").send_keys(key, Keys.ENTER)
        self.wait("nav a")

    def enter(self, key):
        """The overview, by the session that there is or by a new one."""
        self.driver.get(f"{self.origin}/console")
        wait_until("the console", lambda: self.find("nav a") or self.find("#key"))
        if not self.find("nav a"):
            self.sign_in(key)

    def problems(self):
        """Errors of the console's scripts, and violations of its policy, since the last call."""
        return [line["message"] for line in self.driver.get_log("browser")
                if line["level"] == "SEVERE"]

    def overflow(self):
        """Pixels by which the page is wider than its window."""
        return self.run("const page = document.documentElement;"
                        "return Math.max(page.scrollWidth, document.body.scrollWidth) - page.clientWidth")
