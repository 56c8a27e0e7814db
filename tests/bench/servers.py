"""The servers that are compared: how each is started and spoken to.

A server is started fresh for each measurement, in a directory of its own,
pinned to CPUs.  load_args and pub_args are what the load client and the
publisher must be told about it."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def descendants(pid):
    """The process and all that it has started."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def output(*argv):
    """What a program prints, None if it cannot be run."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip()


class Server:
    """One that runs.  Subclasses say how."""

    key = title = ""
    durable = authenticates = False

    def __init__(self, place, build, directory):
        self.place = place  # where npm packages are, as a Path, or None
        self.build = build
        self.dir = Path(directory)
        self.port = free_port()
        self.processes = []

    # What subclasses define

    @classmethod
    def missing(cls, _place):
        """None, or what would have to be installed."""
        return None

    def version(self):
        return ""

    def start(self):
        raise NotImplementedError

    def load_args(self):
        return ["--path", "/"]

    def pub_args(self):
        raise NotImplementedError

    # What they share

    def spawn(self, argv, cpus="0", env=None):
        with open(self.dir / (self.key + ".log"), "ab") as log:
            p = subprocess.Popen(["taskset", "-c", cpus] + [str(a) for a in argv], cwd=self.dir,
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                                 start_new_session=True)
        self.processes.append(p)
        return p

    def wait_port(self, port=None, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for p in self.processes:
                if p.poll() is not None:
                    raise RuntimeError(self.key + ": ended:\n" + self.log())
            try:
                socket.create_connection(("127.0.0.1", port or self.port), 1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise RuntimeError(self.key + ": does not listen")

    def log(self):
        return (self.dir / (self.key + ".log")).read_text(errors="replace")[-2000:]

    def pids(self):
        return [pid for p in self.processes for pid in descendants(p.pid)]

    def stop(self):
        everybody = self.pids()
        for p in self.processes:
            p.send_signal(signal.SIGTERM)
        for p in self.processes:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        for pid in everybody:  # what a launcher has left behind
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.processes = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()


class Ceiling(Server):
    key, title = "ceiling", "ceiling: one send() per frame"
    mode = []

    def start(self):
        self.spawn([self.build / "tests/bench/ceiling", self.port] + self.mode)
        self.wait_port()

    def pub_args(self):
        return ["--via", "line", "--to", "127.0.0.1:%d" % self.port]


class CeilingCoalesced(Ceiling):
    key, title = "ceiling_coalesced", "ceiling, coalesced"
    mode = ["coalesced"]


NGINX = """
load_module {module};
worker_processes {workers};
worker_rlimit_nofile 20000;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log crit;
events {{ worker_connections 19900; }}
http {{
	access_log off;
	keepalive_requests 1000000000;
	client_body_temp_path {dir}/body;
	proxy_temp_path {dir}/proxy;
	fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi;
	scgi_temp_path {dir}/scgi;
	nchan_shared_memory_size 512M;
	server {{
		listen 127.0.0.1:{port} backlog=4096;
		location = /sub {{ nchan_subscriber websocket; nchan_channel_id bench;
			nchan_subscriber_first_message newest; }}
		location = /pub {{
			nchan_publisher http; nchan_channel_id bench;
			nchan_message_buffer_length 100; nchan_message_timeout 60s;
		}}
	}}
}}
"""


class Nchan(Server):
    key, title, workers = "nchan", "Nchan, 1 worker", 1
    module = "/usr/lib/nginx/modules/ngx_nchan_module.so"
    nginx = "/usr/sbin/nginx"

    @classmethod
    def missing(cls, _place):
        there = os.path.exists(cls.module) and os.path.exists(cls.nginx)
        return None if there else "libnginx-mod-nchan"

    def version(self):
        nchan = output("dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan") or "?"
        return "%s, nchan %s" % ((output(self.nginx, "-v") or "?").split(": ")[-1], nchan)

    def start(self):
        conf = self.dir / "nginx.conf"
        conf.write_text(NGINX.format(module=self.module, workers=self.workers, dir=self.dir, port=self.port))
        self.spawn([self.nginx, "-p", self.dir, "-c", conf, "-e", self.dir / "error.log",
                    "-g", "user root;"] if os.geteuid() == 0 else [self.nginx, "-p", self.dir, "-c", conf])
        self.wait_port()
        time.sleep(0.3)  # its workers

    def load_args(self):
        return ["--path", "/sub"]

    def pub_args(self):
        return ["--via", "http", "--to", "127.0.0.1:%d" % self.port, "--path", "/pub"]


class Nchan2(Nchan):
    key, title, workers = "nchan2", "Nchan, 2 workers", 2


class Bun(Server):
    key, title = "bun", "Bun (uWebSockets)"

    @classmethod
    def program(cls, place):
        # npm leaves it in the package of the platform, or moves it if install scripts are allowed
        found = ["node_modules/@oven/bun-linux-*/bin/bun", "node_modules/bun/bin/bun*"]
        for at in (sorted(at for name in found for at in place.glob(name)) if place else []):
            if output(at, "--version"):
                return at
        return shutil.which("bun")

    @classmethod
    def missing(cls, place):
        return None if cls.program(place) else "bun (npm)"

    def version(self):
        return "Bun " + (output(self.program(self.place), "--version") or "?")

    def start(self):
        self.spawn([self.program(self.place), HERE / "peers/bun.js", self.port])
        self.wait_port()

    def load_args(self):
        return ["--path", "/sub"]

    def pub_args(self):
        return ["--via", "ws", "--to", "127.0.0.1:%d" % self.port, "--path", "/pub"]


class Node(Bun):
    key, title = "node", "Node ws"

    @classmethod
    def program(cls, place):
        return shutil.which("node") if place and (place / "node_modules/ws").is_dir() else None

    @classmethod
    def missing(cls, place):
        return None if cls.program(place) else "nodejs, and ws (npm)"

    def version(self):
        package = self.place / "node_modules/ws/package.json"
        ws = output("node", "-p", "require(%r).version" % str(package))
        return "Node %s, ws %s" % (output("node", "--version"), ws)

    def start(self):
        self.spawn([self.program(self.place), HERE / "peers/node.js", self.port, self.place])
        self.wait_port()


MOSQUITTO = """
listener {port} 127.0.0.1
protocol websockets
listener {plain} 127.0.0.1
allow_anonymous true
max_connections -1
max_queued_messages 0
max_inflight_messages 0
persistence false
set_tcp_nodelay true
sys_interval 0
log_type error
{user}
"""


class Mosquitto(Server):
    key, title = "mosquitto", "mosquitto"
    program = "/usr/sbin/mosquitto"

    @classmethod
    def missing(cls, _place):
        return None if os.path.exists(cls.program) else "mosquitto"

    def version(self):
        return (output(self.program, "-h") or "?").splitlines()[0]

    def start(self):
        self.plain = free_port()
        conf = self.dir / "mosquitto.conf"
        conf.write_text(MOSQUITTO.format(port=self.port, plain=self.plain,
                                         user="user root" if os.geteuid() == 0 else ""))
        self.spawn([self.program, "-c", conf])
        self.wait_port()
        self.wait_port(self.plain)

    def load_args(self):
        return ["--path", "/mqtt", "--protocol", "mqtt", "--mqtt", "bench"]

    def pub_args(self):
        return ["--via", "mqtt", "--to", "127.0.0.1:%d" % self.plain]


class Pushpin(Server):
    """With its own test backend, which subscribes every WebSocket on /ws."""

    key, title = "pushpin", "Pushpin"
    program = "/usr/bin/pushpin"

    @classmethod
    def missing(cls, _place):
        return None if os.path.exists(cls.program) else "pushpin"

    def version(self):
        return output(self.program, "--version") or "?"

    def start(self):
        text = Path("/etc/pushpin/pushpin.conf").read_text()
        self.push = free_port()
        for name, value in {"rundir": self.dir / "r", "logdir": self.dir, "http_port": self.port,
                            "push_in_http_port": self.push, "message_rate": 1000000,
                            "message_hwm": 1000000, "log_level": 1, "client_maxconn": 19000,
                            "push_in_spec": "ipc://%s/push" % self.dir,
                            "push_in_sub_specs": "ipc://%s/sub" % self.dir,
                            "command_spec": "ipc://%s/command" % self.dir}.items():
            text = "\n".join("%s=%s" % (name, value) if line.startswith(name + "=") else line
                             for line in text.splitlines())
        (self.dir / "r").mkdir()
        (self.dir / "pushpin.conf").write_text(text + "\n")
        (self.dir / "routes").write_text("* test\n")
        self.spawn([self.program, "--config", self.dir / "pushpin.conf"])
        self.wait_port()
        self.wait_port(self.push)
        time.sleep(0.5)

    def load_args(self):
        return ["--path", "/ws"]

    def pub_args(self):
        return ["--via", "pushpin", "--to", "127.0.0.1:%d" % self.push, "--type", "test"]


PEERS = [Ceiling, CeilingCoalesced, Nchan, Nchan2, Bun, Node, Mosquitto, Pushpin]

