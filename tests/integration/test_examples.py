"""What is in examples/, and what the README has for browsers, as they are
printed.  pytest -m web."""

import os
import re
import shutil
import subprocess

import pytest

import fronts
import procs
from browser import Browser
from clients import API

pytestmark = pytest.mark.web

EXAMPLES = os.path.join(procs.SOURCE, "examples")
PUBLISHERS = {"publish.php": (["php"], "PHP"), "publish.py": (["/usr/bin/python3"], "Python"),
              "publish.pl": (["perl"], "Perl"), "publish.sh": (["sh"], "shell"), "publish.c": ([], "C"),
              "publish.mjs": (["node"], "Node")}


def run(*argv):
    result = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0 and not result.stderr, result
    return result.stdout


def test_all_are_run():
    assert set(os.listdir(EXAMPLES)) - {"local.mk"} == {*PUBLISHERS, "subscribe.mjs", "subscribe.py"}


@pytest.mark.parametrize("name", PUBLISHERS)
def test_publish(front_lighttpd, name, tmp_path):
    command, language = PUBLISHERS[name]
    hub, who = front_lighttpd.hub, front_lighttpd.hub.credential()
    ws = front_lighttpd.subscribe(who, "pdfm")
    path = os.path.join(EXAMPLES, name)
    if name.endswith(".c"):
        program = str(tmp_path / "publish")
        run("cc", "-Wall", "-Wextra", "-Werror", "-o", program, path, "-lsqlite3")
        run(program, hub.database)
    elif name.endswith(".mjs"):
        assert "committed as" in run(*command, path, f"http://{front_lighttpd.ws_address}{API}", who.secret)
    else:
        run(*command, path, hub.database)
    frame = ws.expect("pdfm", "VM_STATE_CHANGED")
    assert frame["body"] == {"vm_id": "4711", "from": language}
    ws.close()


def test_shell_quotes(front_lighttpd):
    hub = front_lighttpd.hub
    ws = front_lighttpd.subscribe(hub.credential(), "pdfm")
    run("sh", os.path.join(EXAMPLES, "publish.sh"), hub.database, "it's $HOME \"quoted\"")
    ws.expect("pdfm", "it's $HOME \"quoted\"")
    ws.close()


def installed(name, directory):
    """The example with the client where it is here, and ws as npm puts it."""
    with open(os.path.join(EXAMPLES, name), encoding="utf-8") as f:
        text = f.read().replace("/usr/share/evhub/web", fronts.web())
    os.makedirs(directory / "node_modules", exist_ok=True)
    os.symlink("/usr/share/nodejs/ws", directory / "node_modules" / "ws")
    (directory / name).write_text(text)
    return str(directory / name)


@pytest.mark.parametrize("name", ["subscribe.mjs", "subscribe.py"])
def test_subscribe(make_hub, name, tmp_path):
    """Both go on after a restart of the daemon, with what was missed."""
    hub = make_hub(front="lighttpd")
    command = "node" if name.endswith(".mjs") else "/usr/bin/python3"
    scheme = "http" if name.endswith(".mjs") else "ws"
    out = tmp_path / "out"
    with open(out, "w", encoding="utf-8") as f:
        example = subprocess.Popen(
            [command, installed(name, tmp_path), f"{scheme}://{hub.front.ws_address}{API}", hub.credential().secret],
            stdout=f, stderr=subprocess.STDOUT)
    try:
        hub.wait_sql("SELECT count(*) FROM client", 1)
        hub.publish("pdfm", "one", "1")
        procs.wait_for(lambda: "one" in out.read_text(), lambda: out.read_text())
        port = hub.wsd.port
        hub.wsd.stop()
        hub.publish("pdfm", "two", "2")
        hub.start_wsd(overrides=[f'listen={{"127.0.0.1:{port}"}}'])
        procs.wait_for(lambda: "two" in out.read_text(), lambda: out.read_text())
        hub.publish("pdfm", "three", "3")
        procs.wait_for(lambda: "three" in out.read_text(), lambda: out.read_text())
        assert [out.read_text().count(word) for word in ("one", "two", "three")] == [1, 1, 1]
    finally:
        example.kill()
        example.wait()


# ---- the README's page

class WithPage(fronts.Lighttpd):
    """lighttpd with the README's page, and its ticket.php behind a PHP server."""

    def configure(self, port):
        readme = open(os.path.join(procs.SOURCE, "README.md"), encoding="utf-8").read()
        page = re.search(r"```html\n(.*?)```", readme, re.S).group(1)
        ticket = re.search(r"```php\n(.*?)```", readme, re.S).group(1)
        with open(os.path.join(self.htdocs(), "page.html"), "w", encoding="utf-8") as f:
            f.write(page)
        php = procs.new_directory()
        with open(os.path.join(php, "ticket.php"), "w", encoding="utf-8") as f:
            f.write(ticket.replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
        self.php_port = procs.free_port()
        self.php = subprocess.Popen(
            ["php", "-S", f"127.0.0.1:{self.php_port}", "-t", php], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**procs.environment(), "EVHUB_KEY": self.key})
        argv = super().configure(port)
        with open(argv[-1], "a", encoding="utf-8") as f:
            f.write(f"""
mimetype.assign = ( ".html" => "text/html" )
$HTTP["url"] == "/ticket.php" {{ proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => {self.php_port} )) ) }}
""")
        return argv


def test_the_page_of_the_readme(make_hub):
    hub = make_hub()
    front = WithPage(hub)
    front.key = hub.credential().secret
    browser = None
    try:
        front.start()
        browser = Browser()
        browser.open(f"http://{front.ws_address}/page.html")
        hub.wait_sql("SELECT count(*) FROM client", 1)
        hub.publish("pdfm", "VM_STATE_CHANGED", '{"vm_id": "4711"}')
        browser.wait_text("body", 'VM_STATE_CHANGED {"vm_id":"4711"}')
        port = hub.wsd.port
        hub.wsd.stop()
        hub.publish("pdfm", "MEANWHILE")
        hub.start_wsd(overrides=[f'listen={{"127.0.0.1:{port}"}}'])
        browser.wait_text("body", "MEANWHILE")
        assert browser.text("body").count("VM_STATE_CHANGED") == 1
    finally:
        if browser:
            browser.close()
        front.php.kill()
        front.php.wait()
