"""twemproxy and libmemcached before small servers that answer every `get` with their own name; libketama."""

import contextlib
import ctypes
import os
import socket
import socketserver
import threading

from programs import free_port, running


class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            words = line.split()
            name = self.server.name.encode()
            if words[:1] in ([b"get"], [b"gets"]) and len(words) > 1:
                # In one write: a second one would wait for the first's acknowledgement.
                values = [b"VALUE %s 0 %d\r\n%s\r\n" % (key, len(name), name) for key in words[1:]]
                self.wfile.write(b"".join(values) + b"END\r\n")
            elif words[:1] == [b"version"]:
                self.wfile.write(b"VERSION 1.6.18\r\n")
            elif words[:1] == [b"quit"]:
                return
            else:
                self.wfile.write(b"ERROR\r\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextlib.contextmanager
def answering(servers):
    started = []
    try:
        for i, entry in enumerate(servers):
            server = Server((entry["address"], entry["port"]), Answer)
            server.name = str(i)
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            started.append(server)
        yield
    finally:
        for server in started:
            server.shutdown()
            server.server_close()


def twemproxy(config, keys, folder):
    port = free_port()
    options = config.get("compat", {})
    servers = []
    for entry in config["servers"]:
        text = f"{entry['address']}:{entry['port']}:{entry.get('weight', 1)}"
        servers.append(f"   - {text} {entry['hash_name']}" if "hash_name" in entry else f"   - {text}")
    lines = "\n".join(servers)
    (folder / "nutcracker.yml").write_text(f"""fleet:
  listen: 127.0.0.1:{port}
  hash: {options.get('key_hash', 'fnv1a_64')}
  distribution: ketama
  auto_eject_hosts: false
  timeout: 5000
  servers:
{lines}
""")
    command = ["nutcracker", "-c", f"{folder}/nutcracker.yml", "-s", str(free_port()), "-a", "127.0.0.1"]
    with answering(config["servers"]), running(command, port, folder / "log"):
        found = []
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            lines = connection.makefile("rb")
            for key in keys:
                connection.sendall(b"get " + key.encode() + b"\r\n")
                head = lines.readline()
                if not head.startswith(b"VALUE"):
                    raise RuntimeError(f"{head!r} for {key!r}")
                found.append(int(lines.readline()))
                lines.readline()
        return found


def libmemcached(config, keys, _folder):
    import pylibmc  # Debian's, so this runs in the system's Python.

    options = config.get("compat", {})
    servers = [f"{e['address']}:{e['port']}:{e.get('weight', 1)}" for e in config["servers"]]
    # Weights above 1 need the weighted kind; pylibmc hands them over in either.
    behaviours = {"ketama_weighted": True} if options.get("weighted", True) else {"ketama": True}
    if options.get("spy"):
        # Only the texts of the points change with this one, and only after those.
        behaviours = {"ketama_weighted": True, "distribution": "consistent ketama spy"}
    with answering(config["servers"]):
        client = pylibmc.Client(servers, behaviors=behaviours)
        found = []
        for key in keys:
            value = client.get(key.encode())
            if value is None:
                raise RuntimeError(f"no answer for {key!r}")
            found.append(int(value))
        client.disconnect_all()
        return found


class Point(ctypes.Structure):
    """ketama.h: `mcs`."""

    _fields_ = [("point", ctypes.c_uint), ("ip", ctypes.c_char * 22)]


def libketama(config, keys, folder):
    """The library itself, from a file of servers and weights as its own tests have."""
    library = ctypes.CDLL(os.environ["LIBKETAMA"])
    library.ketama_get_server.restype = ctypes.POINTER(Point)
    library.ketama_get_server.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    library.ketama_error.restype = ctypes.c_char_p
    library.ketama_smoke.argtypes = [ctypes.c_void_p]
    place = {}
    for i, entry in enumerate(config["servers"]):
        address = f"[{entry['address']}]" if ":" in entry["address"] else entry["address"]
        place[entry.get("hash_name", f"{address}:{entry['port']}").encode()] = i
    lines = [name.decode() + f"\t{config['servers'][i].get('weight', 1)}\n" for name, i in place.items()]
    (folder / "servers").write_text("".join(lines))
    ring = ctypes.c_void_p()
    if not library.ketama_roll(ctypes.byref(ring), str(folder / "servers").encode()):
        raise RuntimeError(library.ketama_error().decode())
    found = [place[library.ketama_get_server(key.encode(), ring).contents.ip] for key in keys]
    library.ketama_smoke(ring)
    return found
