"""What the README shows, taken from the README and run."""

import os
import re
import subprocess

import clients
import procs

# The first words of each block, and what runs it.
BLOCKS = {
    "tools/quickstart": "tools/check",
    ". /tmp/evhub-demo.*/env": "test_session",
    "apt-get build-dep": "tests/packages/check",
    "apt-get install -y ./evhub_*.deb lighttpd": "tests/packages/trial",
    "apt-get install -y ./evhub_*.deb apache2": "tests/packages/trial",
    "apt-get install -y ./evhub_*.deb nginx": "tests/packages/trial",
    "KEY=$(sqlite3": "tests/packages/trial",
    "apt-get install -y gcc": "tests/packages/trial",
    "install -m 644 etc/systemd/*.service": "tests/packages/trial",
    "<!doctype html>": "test_examples",
    "<?php // ticket.php": "test_examples",
}


def blocks():
    with open(os.path.join(procs.SOURCE, "README.md")) as f:
        return re.findall(r"^```\w+\n(.*?)^```", f.read(), re.S | re.M)


def test_every_block_is_run():
    starts = list(BLOCKS)
    found = [next((s for s in starts if block.startswith(s)), block) for block in blocks()]
    assert found == starts


def test_the_lists_of_libraries_agree():
    """Those of the README, of the tools and of the package."""
    def listed(path):
        with open(os.path.join(procs.SOURCE, path)) as f:
            return set(re.findall(r"[a-z0-9-]+-dev\b", f.read())) - {"libc6-dev", "dpkg-dev"}
    assert listed("README.md") == listed("tools/common.sh") == listed("debian/control")


def commands():
    """The lines of the session by their first word; the frames it shows are left out."""
    block = next(b for b in blocks() if b.startswith(". /tmp/evhub-demo"))
    lines = block.replace("\\\n", " ").splitlines()
    return [line for line in lines if not re.match(r"[<{]|\s*#", line)]


def shell(env, line):
    result = subprocess.run(["sh", "-c", line], env={**os.environ, **env}, capture_output=True, text=True,
                            timeout=60, check=False)
    assert result.returncode == 0, (line, result)
    return result.stdout


def test_session(make_hub):
    hub = make_hub(front="lighttpd")
    front = hub.front
    who = hub.credential(scopes="subscribe publish admin")
    env = {"DB": hub.database, "KEY": who.secret, "URL": f"http://{front.ws_address}{clients.API}"}
    source, watch, insert, look, find, curl, delete = commands()
    assert source.startswith(". /tmp/evhub-demo.*/env") and "-m websockets" in watch

    ws = front.subscribe(who, "pdfm")
    shell(env, insert)
    frame = ws.recv()
    assert (frame["message"], frame["body"]) == ("VM_STATE_CHANGED", {"vm_id": "4711"})
    assert ws.client_id in shell(env, look)
    env["CLIENT"] = shell(env, find + "; echo $CLIENT").strip()
    assert env["CLIENT"] == ws.client_id
    assert '"message":"unsubscribed from: pdfm"' in shell(env, curl)
    assert ws.recv()["message"] == "unsubscribed"
    shell(env, delete)
    assert ws.closed() == (1008, "disconnected by the operator")
