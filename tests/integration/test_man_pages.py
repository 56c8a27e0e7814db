"""The manual pages against the programs: each snippet is run as it is printed,
with the paths, ports and users of the test in place of the installed ones."""

import os
import re
import subprocess

import api_docs
import procs
import snippets
import tour
from hub import READY
from procs import Process

RUN = {
    "evhub.7": ["sh", "sh", "sh", "subscriber", "sh", "sh", "sh", "sh"],
    "evhub.conf.5": ["conf", "sh"],
    "evhub-fcgi.8": ["program"],
    "evhub-wsd.8": ["daemon", "sh"],
}


def page(name):
    with open(os.path.join(procs.SOURCE, "man", name)) as f:
        return f.read()


def test_every_snippet_is_run():
    """What is listed here is run by a test below; evhub-sql(7) by test_man.c."""
    marks = {os.path.basename(p): [s.kind for s in snippets.of_page(p)] for p in snippets.pages()}
    assert marks.pop("evhub-sql.7")
    assert marks == RUN


def here(hub, text):
    """The snippet with what this hub has in place of what is installed."""
    instead = {
        "/var/lib/evhub/evhub.db": hub.database,
        "/run/evhub/": hub.directory + "/",
        "/etc/evhub/evhub.conf": hub.conf_path,
        "/usr/share/evhub/sql": os.path.join(procs.SOURCE, "sql"),
        "/usr/sbin/evhub-fcgi": procs.program("evhub-fcgi") + " -c " + hub.conf_path,
        "evhub-wsd -": procs.program("evhub-wsd") + " -",
        "/tmp/": hub.directory + "/example-",
        '"evhub"': '"www-data"',
        "-u evhub -U www-data ": "",
        "http://localhost": f"http://{hub.front.ws_address}" if hasattr(hub, "front") else "",
    }
    return re.sub("|".join(map(re.escape, instead)), lambda m: instead[m.group()], text)


def test_the_tour(make_hub):
    hub = make_hub(front="lighttpd")
    tour.take(lambda text: here(hub, text), hub.directory)


def test_examples_of_the_configuration(make_hub):
    hub = make_hub()
    conf, check = (here(hub, s.text) for s in snippets.of("evhub.conf.5"))
    with open(hub.conf_path) as f:
        own = f.readlines()
    given = set(re.findall(r"^(\w+) =", conf, re.M))
    with open(hub.conf_path, "w") as f:  # a key stands in a file once
        f.write("".join(line for line in own if line.split(" ")[0] not in given) + conf)
    tour.shell(check)
    # and what it says is what is used
    second = hub.start_wsd("second", ["listen=unix:" + hub.directory + "/other.sock"])
    second.stop()


def test_examples_of_the_daemon(make_hub):
    hub = make_hub()
    daemon, ask = (here(hub, s.text) for s in snippets.of("evhub-wsd.8"))
    argv = daemon.split() + ["-o", "listen=127.0.0.1:0"]
    process = Process("example", argv, os.path.join(hub.directory, "example.log"))
    process.wait_ready(lambda: READY.search(process.text()), "not ready")
    process.stop()
    assert '"ok":true' in tour.shell(ask)


def test_example_of_the_program(make_hub):
    hub = make_hub()
    (start,) = (here(hub, s.text) for s in snippets.of("evhub-fcgi.8"))
    process = Process("example", start.replace("spawn-fcgi", "spawn-fcgi -n").split(),
                      os.path.join(hub.directory, "example.log"))
    process.wait_ready(lambda: "started" in process.text(), "not started")
    process.stop()


# ---- what the pages list

def test_the_options_are_told_of():
    for program in ("evhub-wsd", "evhub-fcgi"):
        text = subprocess.run([procs.program(program), "-h"], capture_output=True, text=True, check=True).stdout
        options = set(re.findall(r"^  -(\w)", text, re.M))
        assert options == set(re.findall(r"^\.It Fl (\w)", page(program + ".8"), re.M)), program
        letters = re.search(r"^\.Op Fl (\w{2,})$", page(program + ".8"), re.M).group(1)
        assert options == set(letters) | {"c", "o"}, program


def test_the_requests_are_told_of():
    told = set(re.findall(r"^\.It Ql (GET|POST) (\w+)$", page("evhub-fcgi.8"), re.M))
    assert told | {("GET", "subscribe")} == {
        (method.upper(), path.strip("/")) for path, method, _ in api_docs.operations().values()}


def test_the_close_codes_are_told_of():
    text = page("evhub-wsd.8")
    section = text[text.index(".Ss Closing of connections"):text.index(".Ss Control socket")]
    assert sorted(map(int, re.findall(r"^\.It (\d+)", section, re.M))) == sorted(api_docs.close_codes())


def test_the_keys_that_a_reload_takes_are_told_of():
    with open(os.path.join(procs.SOURCE, "wsd", "reload.c")) as f:
        taken = set(re.findall(r"SWAP\(conf->(\w+)", f.read()))
    text = page("evhub-wsd.8")
    section = text[text.index(".It Dv SIGHUP"):text.index("The others need a restart")]
    assert taken == set(re.findall(r"^\.Ic (\w+)", section, re.M)) and taken


def test_the_log_words_are_the_programs():
    """Each word that a page tells to watch for is one that the program writes."""
    for program, folder in (("evhub-wsd", "wsd"), ("evhub-fcgi", "fcgi")):
        source = ""
        for directory in (folder, "common"):
            for name in os.listdir(os.path.join(procs.SOURCE, directory)):
                if name.endswith(".c"):
                    with open(os.path.join(procs.SOURCE, directory, name)) as f:
                        source += f.read()
        text = page(program + ".8")
        section = text[text.index(".Ss Log lines"):text.index(".Sh FILES")]
        words = re.findall(r"[a-z_]+", " ".join(re.findall(r"^\.It Sy (.*)$", section, re.M)))
        assert len(words) > 5
        assert [w for w in words if f'"{w}"' not in source] == [], program


def test_references():
    """evhub's pages name each other."""
    names = {os.path.basename(p) for p in snippets.pages()}
    for name in names:
        see = page(name)[page(name).index(".Sh SEE ALSO"):]
        others = {f"{n}.{s}" for n, s in re.findall(r"^\.Xr (evhub\S*) (\d)", see, re.M)}
        assert others == names - {name}, name
