"""nginx, HAProxy and Envoy before closed ports: each says in its answer whom it tried to ask."""

import json

from answers import answers_by_header
from programs import free_port, running


def authority(entry):
    address = f"[{entry['address']}]" if ":" in entry["address"] else entry["address"]
    return f"{address}:{entry['port']}"


def nginx(config, keys, folder):
    port = free_port()
    servers, tried = [], {}
    for i, entry in enumerate(config["servers"]):
        text = entry.get("hash_name", authority(entry))
        servers.append(f"server {text} weight={entry.get('weight', 1)} max_fails=0;")
        tried[text if text.startswith("unix:") else authority(entry)] = i
        # What `localhost` is resolved to, whatever its letters.
        if entry["address"] == "localhost":
            tried[f"127.0.0.1:{entry['port']}"] = tried[f"[::1]:{entry['port']}"] = i
    (folder / "nginx.conf").write_text(f"""
        daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            upstream fleet {{ hash $http_x_key consistent; {' '.join(servers)} }}
            server {{
                listen 127.0.0.1:{port};
                keepalive_requests 1000000;
                location / {{
                    proxy_pass http://fleet; proxy_next_upstream off;
                    add_header x-tried $upstream_addr always;
                }}
            }}
        }}""")
    command = ["nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    with running(command, port, folder / "log"):
        return [tried[answer] for answer in answers_by_header(port, keys, "x-tried")]


def haproxy(config, keys, folder):
    port = free_port()
    options = config.get("compat", {})
    function = options.get("key_hash", "")
    avalanche = "avalanche" if options.get("avalanche") else ""
    servers = []
    for entry in config["servers"]:
        number = f"id {entry['id']}" if "id" in entry else ""
        if "server_key" in options:
            number += f" hash-key {options['server_key']}"
        servers.append(f"server {entry['name']} {entry['address']}:{entry['port']} "
                       f"weight {entry.get('weight', 1)} {number}")
    text = "\n            ".join(servers)
    (folder / "haproxy.cfg").write_text(f"""
        global
            maxconn 100
        defaults
            mode http
            timeout connect 2s
            timeout client 60s
            timeout server 5s
            retries 0
        frontend front
            bind 127.0.0.1:{port}
            default_backend back
        backend back
            balance hash req.fhdr(x-key)
            hash-type consistent {function} {avalanche}
            http-after-response set-header x-tried %s
            {text}
""")
    place = {entry["name"]: i for i, entry in enumerate(config["servers"])}
    # The system's own may be too old to have `hash-key`.
    binary = "haproxy-hash-key" if "server_key" in options else "haproxy"
    with running([binary, "-db", "-f", f"{folder}/haproxy.cfg"], port, folder / "log"):
        return [place[answer] for answer in answers_by_header(port, keys, "x-tried")]


def envoy(config, keys, folder, binary="envoy"):
    port = free_port()
    policy, options = config["routing"]["algorithm"], config.get("compat", {})
    endpoints = []
    for entry in config["servers"]:
        endpoint = {
            "endpoint": {"address": {"socket_address": {"address": entry["address"], "port_value": entry["port"]}}},
            "load_balancing_weight": entry.get("weight", 1),
        }
        if "hash_name" in entry:
            endpoint["metadata"] = {"filter_metadata": {"envoy.lb": {"hash_key": entry["hash_name"]}}}
        endpoints.append(endpoint)
    cluster = {
        "name": "fleet", "type": "STATIC", "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [{"max_retries": 0}]},
        "load_assignment": {"cluster_name": "fleet", "endpoints": [{"lb_endpoints": endpoints}]},
    }
    if policy == "envoy-ring":
        cluster["lb_policy"] = "RING_HASH"
        cluster["ring_hash_lb_config"] = {
            "minimum_ring_size": options.get("ring_size_min", 1024),
            "maximum_ring_size": options.get("ring_size_max", 8388608),
        }
    else:
        cluster["lb_policy"] = "MAGLEV"
        cluster["maglev_lb_config"] = {"table_size": config["routing"].get("table_size", 65537)}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{
            "match": {"prefix": "/"},
            "route": {"cluster": "fleet", "hash_policy": [{"header": {"header_name": "x-key"}}]},
        }]}]},
        # The answers are Envoy's own, so they cannot have a header about a server.
        "access_log": [{"name": "file", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": f"{folder}/access.log",
            "log_format": {"text_format_source": {"inline_string": "%UPSTREAM_HOST%\n"}},
        }}],
        "http_filters": [{"name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
    }
    (folder / "envoy.json").write_text(json.dumps({"static_resources": {
        "clusters": [cluster],
        "listeners": [{
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }],
    }}))
    place = {authority(entry): i for i, entry in enumerate(config["servers"])}
    command = [binary, "-c", f"{folder}/envoy.json", "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    # One connection, so the log is in the order of the keys; it is whole once Envoy has ended.
    with running(command, port, folder / "log"):
        answers_by_header(port, keys, "server")
    return [place[line] for line in (folder / "access.log").read_text().splitlines()]
