"""The tour of evhub(7), taken: each of its snippets in turn, with the client of
"another terminal" beside them.

As a program, on a machine where evhub is installed: as it is printed.
"""

import os
import re
import subprocess
import tempfile

import procs
import snippets


def shell(text):
    result = subprocess.run(["sh", "-e"], input=text, capture_output=True, text=True, timeout=procs.PATIENCE * 3,
                            check=False)
    assert result.returncode == 0, (text, result)
    return result.stdout


class Subscriber:
    """The client of the page, in its other terminal."""

    def __init__(self, command, log):
        self.log = log
        with open(log, "wb") as out:
            self.popen = subprocess.Popen(["sh", "-c", "exec " + command], stdin=subprocess.PIPE, stdout=out,
                                          stderr=subprocess.STDOUT)

    def wait_for(self, text):
        def look():
            with open(self.log) as f:
                self.seen = f.read()
            return text in self.seen
        procs.wait_for(look, lambda: f"{text} is not in {self.seen}")

    def stop(self):
        self.popen.kill()
        self.popen.wait()
        self.popen.stdin.close()


def take(translate, directory):
    """translate: what is to be run in place of a text of the page."""
    begin, key, ticket, publish, look, change, revoke = (translate(s.text) for s in snippets.of("evhub.7", "sh"))
    command = snippets.of("evhub.7", "subscriber")[0].text

    out = shell(begin + key + ticket + 'echo "KEY=$KEY"')
    assert '"status":"ok"' in out, out
    address = re.search(r"ws://.*$", out, re.M).group()
    # a new shell each time, with the variables of the last one
    variables = re.sub("^curl.*$", "", begin, flags=re.M) + re.search(r"^KEY=.*$", out, re.M).group() + "\n"
    subscriber = Subscriber(command.replace("address", address), os.path.join(directory, "subscriber.log"))
    try:
        subscriber.wait_for("WebSocket connection established")
        out = shell(variables + publish)
        assert out.count('"id":') == 2, out
        for message in ("VM_STATE_CHANGED", "by HTTP", "by socket"):
            subscriber.wait_for(message)
        out = shell(variables + look)
        assert "alice" in out and re.search(r'"total_clients":[1-9]', out), out
        out = shell(variables + change)
        assert '"message":"unsubscribed from: pdfm"' in out, out
        subscriber.wait_for('"unsubscribed","body":{"event_types":["pdfm"],"subscriptions":["global","health"]}')
        subscriber.wait_for('"unsubscribed","body":{"event_types":["health"],"subscriptions":["global"]}')
        shell(variables + revoke)
        subscriber.wait_for("1008")
    finally:
        subscriber.stop()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        take(lambda text: text, place)
