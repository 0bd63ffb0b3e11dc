"""The servers behind: nginx and HAProxy, plain, over TLS and by HTTP/2, a WebSocket echo and a gRPC service."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import websockets

from process import run
from programs import free_port, running


@dataclass(frozen=True)
class Certificate:
    """For 127.0.0.1 and localhost, and who has signed it."""

    ca: Path
    chain: Path
    key: Path
    both: Path


@dataclass(frozen=True)
class Behind:
    """Ports of 127.0.0.1."""

    nginx: int
    nginx_tls: int
    haproxy: int
    haproxy_h2c: int
    websocket: int
    grpc: int


def make_certificate(folder: Path) -> Certificate:
    ca, ca_key = folder / "ca.pem", folder / "ca-key.pem"
    chain, key, both = folder / "certificate.pem", folder / "key.pem", folder / "both.pem"
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    run([*new, "-keyout", str(ca_key), "-out", str(ca), "-subj", "/CN=For this test"])
    run(
        [*new, "-keyout", str(key), "-out", str(chain), "-subj", "/CN=localhost", "-CA", str(ca), "-CAkey", str(ca_key)]
        + ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    )
    both.write_text(chain.read_text() + key.read_text())
    return Certificate(ca, chain, key, both)


def start(stack: ExitStack, folder: Path, certificate: Certificate) -> Behind:
    nginx, nginx_tls = _nginx(stack, folder / "behind-nginx", certificate)
    haproxy, haproxy_h2c = _haproxy(stack, folder / "behind-haproxy")
    return Behind(nginx, nginx_tls, haproxy, haproxy_h2c, _websocket(stack), _grpc(stack))


def nginx_head(folder: Path) -> str:
    """The first lines of any nginx configuration: all it writes is in its folder."""
    user = "user root;\n" if os.geteuid() == 0 else ""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    return f"""{user}daemon off; worker_processes 1; pid {folder}/pid;
events {{ }}
http {{
access_log off; client_max_body_size 0; ssl_protocols TLSv1.2 TLSv1.3;
{folders}"""


def _nginx(stack: ExitStack, folder: Path, certificate: Certificate) -> tuple[int, int]:
    folder.mkdir()
    plain, tls = free_port(), free_port()
    (folder / "nginx.conf").write_text(
        f"""{nginx_head(folder)}
server {{ listen 127.0.0.1:{plain}; location / {{ return 200 "nginx $request_method $uri\\n"; }} }}
server {{
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {certificate.chain};
    ssl_certificate_key {certificate.key};
    location / {{ return 200 "nginx-tls $request_method $uri\\n"; }}
}}
}}"""
    )
    stack.enter_context(running(["nginx", "-c", f"{folder}/nginx.conf", "-e", "stderr"], plain, folder / "log"))
    return plain, tls


def _haproxy(stack: ExitStack, folder: Path) -> tuple[int, int]:
    folder.mkdir()
    plain, h2c = free_port(), free_port()
    (folder / "haproxy.cfg").write_text(
        f"""defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
frontend plain
    bind 127.0.0.1:{plain}
    http-request return status 200 content-type text/plain lf-string "haproxy %[method] %[path]\\n"
frontend h2c
    bind 127.0.0.1:{h2c} proto h2
    http-request return status 200 content-type text/plain lf-string "haproxy-h2c %[method] %[path]\\n"
"""
    )
    stack.enter_context(running(["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"], plain, folder / "log"))
    return plain, h2c


def _websocket(stack: ExitStack) -> int:
    """Says back what it hears."""
    loop, port, ready = asyncio.new_event_loop(), free_port(), threading.Event()

    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    async def serve():
        server = await websockets.serve(echo, "127.0.0.1", port, max_size=None)
        ready.set()
        return server

    def run_loop():
        loop.run_until_complete(serve())
        loop.run_forever()

    threading.Thread(target=run_loop, daemon=True).start()
    ready.wait(10)
    stack.callback(loop.call_soon_threadsafe, loop.stop)
    return port


def _grpc(stack: ExitStack) -> int:
    """Four ways to call; what is refused is refused in a trailer."""

    def refuse(request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today")

    handlers = {
        "Say": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
        "Count": grpc.unary_stream_rpc_method_handler(lambda request, _: (b"%d" % i for i in range(int(request)))),
        "Join": grpc.stream_unary_rpc_method_handler(lambda requests, _: b"".join(requests)),
        "Talk": grpc.stream_stream_rpc_method_handler(lambda requests, _: (request.upper() for request in requests)),
        "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
    }
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stack.callback(lambda: server.stop(0).wait())
    return port
