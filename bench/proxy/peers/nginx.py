"""nginx, from Debian."""

from cases import Listener
from origin import NO_REQUEST_LIMIT, nginx_http, nginx_main
from peers import Setup

HOW_TO_GET = "apt-get install nginx"
VERSION = ["-v"]


def command(binary: str, setup: Setup) -> list[str]:
    servers = "\n".join(f"        server 127.0.0.1:{port};" for port in setup.server_ports)
    kind, tls = "", ""
    if setup.listener is Listener.H2C:
        kind = " http2"
    elif setup.listener is Listener.TLS:
        kind = " ssl"
        tls = f"""
        ssl_certificate {setup.certificate.chain};
        ssl_certificate_key {setup.certificate.key};
        ssl_protocols TLSv1.3;"""
    config = setup.folder / "nginx.conf"
    config.write_text(
        f"""{nginx_main(setup.is_one_process, setup.workers)}
http {{
{nginx_http()}
    upstream servers {{
        hash $uri consistent;
{servers}
        keepalive {setup.nginx_keepalive};
        keepalive_requests {NO_REQUEST_LIMIT};
    }}
    server {{
        listen 127.0.0.1:{setup.port}{kind} backlog=1024;{tls}
        location / {{
            proxy_pass http://servers;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""
    )
    return [binary, "-p", str(setup.folder), "-c", str(config), "-e", "stderr"]
