"""The README's session, taken from the README and run."""

import os
import re
import subprocess

import clients
import procs


def commands():
    """The lines of the session by their first word; the frames it shows are left out."""
    with open(os.path.join(procs.SOURCE, "README.md")) as f:
        block = re.search(r"```sh\n(\. /tmp/evhub-demo.*?)```", f.read(), re.S).group(1)
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
