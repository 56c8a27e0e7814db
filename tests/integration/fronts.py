"""Web servers in front of a hub, configured by the very files of etc/."""

import http.client
import os
import shutil

import procs
from procs import Process, free_port

import clients

ETC = os.path.join(procs.SOURCE, "etc")
NAMES = ["direct", "lighttpd", "apache", "apache-cgi", "nginx"]


_web = []


def web():
    """The browser's side as "make install" puts it: one directory, readable by
    the web server's user."""
    if not _web:
        directory = procs.new_directory()
        for source in (procs.WEB, os.path.join(procs.WEB, "console")):
            for name in os.listdir(source):
                if name != "local.mk" and os.path.isfile(os.path.join(source, name)):
                    shutil.copy(os.path.join(source, name), directory)
        _web.append(directory)
    return _web[0]


def installed(hub, path, **changes):
    """The operator's snippet with this hub's paths and ports in place of the
    documented ones; returns the path of the copy."""
    with open(os.path.join(ETC, path)) as f:
        text = f.read()
    changes = {
        "/run/evhub/fcgi.sock": hub.fcgi_socket,
        "/etc/evhub/evhub.conf": hub.conf_path,
        "/usr/sbin/evhub-fcgi": procs.program("evhub-fcgi"),
        '"/usr/sbin"': f'"{os.path.dirname(procs.program("evhub-fcgi"))}"',
        "8090": str(hub.wsd.port),
        "/usr/share/evhub/web": web(),
        **changes,
    }
    for old, new in changes.items():
        text = text.replace(old, new)
    copy = os.path.join(hub.directory, path.replace("/", "-"))
    with open(copy, "w") as f:
        f.write(text)
    return copy


class Front:
    """How clients reach a hub."""

    name = "direct"
    through_server = False

    def __init__(self, hub):
        self.hub = hub

    def start(self):
        self.hub.start_fcgi("spawn")
        return self

    @property
    def ws_address(self):
        return self.hub.wsd.listen

    def request(self, method, path, headers=None, body=None, credential=None, timeout=procs.PATIENCE):
        all_headers = dict(credential.headers if credential else {})
        all_headers.update(headers or {})
        return self._request(method, path, all_headers, body, timeout)

    def _request(self, method, path, headers, body, timeout):
        return clients.fcgi_request(self.hub.fcgi_socket, method, path, headers, body, timeout)

    def post(self, endpoint, body, credential=None, headers=None, timeout=procs.PATIENCE):
        """POSTs to an endpoint under the base path; body is JSON if it is no text."""
        if not isinstance(body, (str, bytes)):
            body = clients.json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        all_headers = {"Content-Type": "application/json"}
        all_headers.update(headers or {})
        return self.request("POST", f"{clients.API}/{endpoint}", all_headers, body, credential, timeout)

    def get(self, endpoint, credential=None, headers=None):
        return self.request("GET", f"{clients.API}/{endpoint}", headers, None, credential)

    def unsubscribe(self, credential, client_id, event_types, **more):
        return self.post("unsubscribe", {"client_id": client_id, "event_types": event_types, **more}, credential)

    def subscribe(self, credential=None, event_types=None, **kwargs):
        return clients.subscribe(self.ws_address, credential, event_types, **kwargs)

    def refusal(self, credential=None, path=clients.API + "/subscribe", **kwargs):
        return clients.refusal(self.ws_address, credential, path, **kwargs)


class Server(Front):
    """A front with a web server on a port of its own."""

    through_server = True

    def start(self):
        self.start_program()
        self.port = None
        for attempt in range(5):
            port = self.port or free_port()
            argv = self.configure(port)
            log = os.path.join(self.hub.directory, f"{self.name}-{attempt}.log")
            self.process = Process(self.name, argv, log, ours=False)
            try:
                self.process.wait_ready(lambda port=port: self.answers(port), "does not answer")
            except AssertionError:
                self.process.kill()
                if attempt == 4:
                    raise
                continue
            self.port = port
            self.hub.others.append(self.process)
            return self
        return self

    def start_program(self):
        self.hub.start_fcgi()

    def answers(self, port):
        """True when the server on the port is ours: it knows the API."""
        try:
            return clients.http_request(f"127.0.0.1:{port}", "GET", clients.API + "/health",
                                        timeout=5).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def restart(self):
        """Kills the server by SIGKILL and starts it on the same port."""
        self.hub.others.remove(self.process)
        self.process.kill()
        argv = self.configure(self.port)
        self.process = Process(self.name, argv, self.process.log + ".again", ours=False)
        self.process.wait_ready(lambda: self.answers(self.port), "does not answer after its restart")
        self.hub.others.append(self.process)

    @property
    def ws_address(self):
        return f"127.0.0.1:{self.port}"

    def _request(self, method, path, headers, body, timeout):
        return clients.http_request(f"127.0.0.1:{self.port}", method, path, headers, body, timeout)

    def write(self, text):
        path = os.path.join(self.hub.directory, self.name + ".conf")
        with open(path, "w") as f:
            f.write(text)
        return path


class Lighttpd(Server):
    """lighttpd starts evhub-fcgi itself."""

    name = "lighttpd"

    def htdocs(self):
        path = os.path.join(self.hub.directory, "htdocs")
        os.makedirs(path, exist_ok=True)
        return path

    def start_program(self):
        pass

    def configure(self, port):
        snippet = installed(self.hub, "lighttpd/evhub.conf",
                            **{'#"bin-path"': '"bin-path"', '#"max-procs"': '"max-procs"'})
        path = self.write(f"""
server.document-root = "{self.htdocs()}"
server.bind = "127.0.0.1"
server.port = {port}
server.upload-dirs = ( "{self.hub.directory}" )
server.modules = ( )
include "{snippet}"
""")
        return ["lighttpd", "-D", "-f", path]


class LighttpdSocket(Lighttpd):
    """lighttpd with evhub-fcgi as a service of its own."""

    name = "lighttpd-socket"

    def start_program(self):
        self.hub.start_fcgi()

    def configure(self, port):
        snippet = installed(self.hub, "lighttpd/evhub.conf")
        path = self.write(f"""
server.document-root = "{self.htdocs()}"
server.bind = "127.0.0.1"
server.port = {port}
server.upload-dirs = ( "{self.hub.directory}" )
server.modules = ( )
include "{snippet}"
""")
        return ["lighttpd", "-D", "-f", path]


class Nginx(Server):
    name = "nginx"

    def configure(self, port):
        d = self.hub.directory
        path = self.write(f"""
daemon off;
worker_processes 1;
pid {d}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
	access_log off;
	client_body_temp_path {d}/nginx-body;
	proxy_temp_path {d}/nginx-proxy;
	fastcgi_temp_path {d}/nginx-fastcgi;
	uwsgi_temp_path {d}/nginx-uwsgi;
	scgi_temp_path {d}/nginx-scgi;
	server {{
		listen 127.0.0.1:{port} backlog=1024;
		include {installed(self.hub, "nginx/evhub.conf")};
	}}
}}
""")
        return ["nginx", "-e", "stderr", "-c", path]


class Apache(Server):
    name = "apache"
    snippet = "apache/evhub.conf"
    modules = ["mpm_event", "authz_core", "proxy", "proxy_http", "proxy_fcgi", "headers"]

    def start_program(self):
        self.hub.start_fcgi("spawn")

    def configure(self, port):
        d = self.hub.directory
        run = os.path.join(d, "apache-run")
        os.makedirs(run, exist_ok=True)
        procs.give(run)
        modules = self.modules + ["alias", "dir", "mime", "env", "setenvif"]
        loaded = "\n".join(f"LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so" for m in modules)
        path = self.write(f"""
ServerRoot {run}
DefaultRuntimeDir {run}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {run}/apache.pid
ErrorLog {run}/error.log
LogLevel warn
ServerLimit 2
StartServers 1
ThreadsPerChild 64
MaxRequestWorkers 128
{loaded}
<IfModule mod_cgid.c>
	ScriptSock {run}/cgid.sock
</IfModule>
DocumentRoot {run}
TypesConfig /dev/null
<Directory />
	Require all denied
</Directory>
Include {installed(self.hub, self.snippet)}
""")
        return ["apache2", "-D", "FOREGROUND", "-f", path]


class ApacheCgi(Apache):
    name = "apache-cgi"
    snippet = "apache/evhub-cgi.conf"
    modules = ["mpm_event", "authz_core", "proxy", "proxy_http", "cgid", "headers"]

    def start_program(self):
        pass


CLASSES = {c.name: c for c in (Front, Lighttpd, LighttpdSocket, Apache, ApacheCgi, Nginx)}
PROGRAMS = {"lighttpd": "lighttpd", "lighttpd-socket": "lighttpd", "apache": "apache2",
            "apache-cgi": "apache2", "nginx": "nginx", "direct": "spawn-fcgi"}


def missing(name):
    """The program that this front needs and this machine lacks, or None."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    return None if shutil.which(PROGRAMS[name], path=path) else PROGRAMS[name]


def start(name, hub):
    return CLASSES[name](hub).start()
