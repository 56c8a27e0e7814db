"""Chromium without a screen, driven by selenium; and the console in it."""

import os
import shutil
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

import procs

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--disable-extensions", "--hide-scrollbars", "--lang=en-US"]


class Browser:
    """One browser with a profile of its own.  What its pages say on their
    consoles is in log()."""

    def __init__(self, width=1280, height=800, *flags):
        self.profile = tempfile.mkdtemp(prefix="evhub-chromium-")
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for flag in FLAGS + [f"--user-data-dir={self.profile}", f"--window-size={width},{height}", *flags]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.lines = []
        self.hub = self.url = None
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)

    def fresh_tab(self):
        """A tab of its own: nothing of what another had, but localStorage."""
        old = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        new = self.driver.current_window_handle
        self.driver.switch_to.window(old)
        self.driver.close()
        self.driver.switch_to.window(new)
        self.log()
        self.lines = []
        return self

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def size(self, width, height, scale=1, mobile=False):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile})

    def prefers(self, **features):
        """Media features: prefers(color_scheme="dark")."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-" + name.replace("_", "-"), "value": value} for name, value in features.items()]})

    def open(self, url):
        self.driver.get(url)

    def js(self, code, *args):
        return self.driver.execute_script(code, *args)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.js("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def texts(self, selector):
        return self.js("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)

    def shown(self, selector):
        return self.js("return Boolean(document.querySelector(arguments[0])?.checkVisibility())", selector)

    def click(self, selector):
        self.find(selector).click()

    def type(self, selector, text):
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def wait(self, condition, what):
        return procs.wait_for(condition, lambda: f"{what}; {self.log()[-5:]}", step=0.02)

    def wait_text(self, selector, part):
        self.wait(lambda: part in self.text(selector), lambda: f"{selector} has {self.text(selector)!r}, not {part!r}")

    def log(self):
        """All that the pages have said so far."""
        self.lines += [entry["message"] for entry in self.driver.get_log("browser")]
        return self.lines

    def screenshot(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.driver.save_screenshot(path)


    def visit(self, hub):
        """The console of this hub, which has a web server in front, is what
        the following is about."""
        self.hub = hub
        self.url = f"http://{hub.front.ws_address}/evhub/"
        return self

    def sign_in(self, key):
        self.open(self.url)
        self.type("#key", key)
        self.click("#sign-in-button")

    def enter(self, credential):
        """Signs in and waits for the connection."""
        self.sign_in(credential.secret)
        self.wait_status("Live")

    def wait_status(self, part):
        self.wait_text("#status-text", part)

    def messages(self):
        """Of the events in the list, newest first."""
        return self.texts(".event .message")

    def wait_messages(self, expected):
        self.wait(lambda: self.messages() == expected, lambda: f"{self.messages()} is not {expected}")

    def switch(self, name):
        return self.js("""return [...document.querySelectorAll(".type")]
            .find((e) => e.querySelector(".name").textContent == arguments[0])""", name)

    def subscribed(self, name):
        return self.switch(name).get_attribute("aria-checked") == "true"

    def tab(self, name):
        self.click(f"#tab-{name}")
