"""The proxies beside one another, each with the same listeners and the same servers behind."""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from programs import free_port, running
from servers import Behind, Certificate, nginx_head


@dataclass(frozen=True)
class Proxy:
    """Ports of 127.0.0.1, and who trusts it."""

    name: str
    # HTTP/1.1 to two servers, and what it speaks over TLS to the same.
    http: int
    https: int
    # HTTP/2 by prior knowledge to the same.
    h2c: int
    websocket: int
    # HTTP/2 to a gRPC server.
    grpc: int
    ca: Path
    # Who answers `http`.
    servers: frozenset[str]


def ringway(stack: ExitStack, folder: Path, binary: str, certificate: Certificate, behind: Behind) -> Proxy:
    tls = {"certificates": [{"cert_file": str(certificate.chain), "key_file": str(certificate.key)}]}
    every = [
        {"name": "nginx", "port": behind.nginx},
        {"name": "nginx-tls", "port": behind.nginx_tls, "tls": {"ca_file": str(certificate.ca)}},
        {"name": "haproxy", "port": behind.haproxy},
        {"name": "haproxy-h2c", "port": behind.haproxy_h2c, "protocol": "h2"},
    ]

    def start(name: str, servers: list[dict], listen: dict) -> int:
        own, port = folder / f"ringway-{name}", free_port()
        own.mkdir()
        config = {
            "servers": [{"address": "127.0.0.1", **server} for server in servers],
            "listen": {"host": "127.0.0.1", "port": port, **listen},
            "routing": {"hash_key": ["path"]},
            "api": {"port": free_port()},
            # None of them has a path for probes: a connection is proof enough.
            "health_check": {"kind": "tcp"},
        }
        (own / "config.json").write_text(json.dumps(config, indent=2))
        stack.enter_context(running([binary, "serve", "--config", f"{own}/config.json"], port, own / "log"))
        return port

    http = start("http", every, {})
    return Proxy(
        name="ringway",
        http=http,
        https=start("https", every, {"tls": tls}),
        h2c=http,
        websocket=start("websocket", [{"name": "echo", "port": behind.websocket}], {}),
        grpc=start("grpc", [{"name": "echo", "port": behind.grpc, "protocol": "h2"}], {}),
        ca=certificate.ca,
        servers=frozenset(server["name"] for server in every),
    )


def nginx(stack: ExitStack, folder: Path, certificate: Certificate, behind: Behind) -> Proxy:
    own = folder / "nginx"
    own.mkdir()
    http, https, h2c, websocket, grpc = (free_port() for _ in range(5))
    forward = 'location / { proxy_pass http://both; proxy_http_version 1.1; proxy_set_header Connection ""; }'
    (own / "nginx.conf").write_text(
        f"""{nginx_head(own)}
upstream both {{ hash $uri consistent; server 127.0.0.1:{behind.nginx}; server 127.0.0.1:{behind.haproxy}; keepalive 64; }}
server {{ listen 127.0.0.1:{http}; {forward} }}
server {{
    listen 127.0.0.1:{https} ssl http2;
    ssl_certificate {certificate.chain};
    ssl_certificate_key {certificate.key};
    {forward}
}}
server {{ listen 127.0.0.1:{h2c} http2; {forward} }}
server {{
    listen 127.0.0.1:{websocket};
    location / {{
        proxy_pass http://127.0.0.1:{behind.websocket};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade;
    }}
}}
server {{ listen 127.0.0.1:{grpc} http2; location / {{ grpc_pass grpc://127.0.0.1:{behind.grpc}; }} }}
}}"""
    )
    stack.enter_context(running(["nginx", "-c", f"{own}/nginx.conf", "-e", "stderr"], http, own / "log"))
    return Proxy("nginx", http, https, h2c, websocket, grpc, certificate.ca, frozenset({"nginx", "haproxy"}))


def haproxy(stack: ExitStack, folder: Path, certificate: Certificate, behind: Behind) -> Proxy:
    own = folder / "haproxy"
    own.mkdir()
    http, https, h2c, websocket, grpc = (free_port() for _ in range(5))
    (own / "haproxy.cfg").write_text(
        f"""defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
listen http
    bind 127.0.0.1:{http}
    bind 127.0.0.1:{https} ssl crt {certificate.both} alpn h2,http/1.1
    bind 127.0.0.1:{h2c} proto h2
    balance uri
    hash-type consistent
    server nginx 127.0.0.1:{behind.nginx}
    server haproxy 127.0.0.1:{behind.haproxy}
listen websocket
    bind 127.0.0.1:{websocket}
    server echo 127.0.0.1:{behind.websocket}
listen grpc
    bind 127.0.0.1:{grpc} proto h2
    server echo 127.0.0.1:{behind.grpc} proto h2
"""
    )
    stack.enter_context(running(["haproxy", "-db", "-f", f"{own}/haproxy.cfg"], http, own / "log"))
    return Proxy("haproxy", http, https, h2c, websocket, grpc, certificate.ca, frozenset({"nginx", "haproxy"}))
