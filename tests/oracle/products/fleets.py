"""The fleets and keys that the real products are asked about."""

import random


def server(name, address, port, weight=1, **more):
    entry = {"name": name, "address": address, "port": port}
    if weight != 1:
        entry["weight"] = weight
    return entry | more


def even(n, port=9101):
    return [server(f"s{i}", f"127.0.0.{i + 10}", port + i) for i in range(n)]


def mixed(weights, port=9101):
    return [server(f"m{i}", f"127.0.1.{i + 10}", port + 7 * i, w) for i, w in enumerate(weights)]


def ipv6(weights):
    """All on one address, told apart by the port: a machine has one loopback address of IPv6."""
    return [server(f"v{i}", "::1", 9201 + i, w) for i, w in enumerate(weights)]


def fleets():
    """Each by name: the rule, its options, and the servers in their order."""
    def fleet(algorithm, servers, routing=None, **compat):
        config = {"servers": servers, "routing": {"algorithm": algorithm} | (routing or {})}
        if compat:
            config["compat"] = compat
        return config

    memcached = [server(f"c{i}", f"127.0.2.{i + 10}", 11211, w) for i, w in enumerate([1, 1, 1, 1])]
    memcached_mixed = [server(f"d{i}", f"127.0.2.{i + 20}", p, w) for i, (p, w) in
                       enumerate([(11211, 5), (11212, 3), (11211, 2), (9300, 9), (11211, 1)])]
    named = [server(f"n{i}", f"127.0.3.{i + 10}", 9400 + i, w, hash_name=n) for i, (w, n) in
             enumerate([(1, "cache-a"), (4, "cache-b.example:5"), (2, "größe"), (1, "x" * 60)])]
    odd = [
        server("plain", "127.0.4.10", 9501),
        server("zeros", "127.0.4.11", 9502, 2, hash_name="127.0.4.11:09502"),
        server("portless", "127.0.4.12", 80, hash_name="127.0.4.12"),
        server("unix", "127.0.4.13", 1, 3, hash_name="unix:/tmp/ringway-nobody.sock"),
        server("six", "::1", 9503, 2, hash_name="[0:0:0:0:0:0:0:1]:9503"),
        server("name", "localhost", 9504, hash_name="LocalHost:9504"),
    ]
    odd_ketama = [server(f"k{i}", f"127.0.7.{i + 10}", 9801 + i, w, hash_name=n) for i, (w, n) in
                  enumerate([(7, "größe"), (1, "cache-b.example:5"), (3, "0"), (2, "x" * 21)])]
    numbered = [server(f"h{i}", f"127.0.5.{i + 10}", 9601 + i, w, id=n) for i, (n, w) in
                enumerate([(10, 1), (77, 2), (1234, 5), (2, 1)])]
    keyed = [server(f"e{i}", f"127.0.6.{i + 10}", 9701 + i, w, hash_name=n) for i, (w, n) in
             enumerate([(1, "shard/0"), (2, "shard/1"), (3, "größe")])]

    result = {
        "nginx-even": fleet("nginx", even(5)),
        "nginx-mixed": fleet("nginx", mixed([2, 3, 1, 10])),
        "nginx-ipv6": fleet("nginx", ipv6([1, 1, 2])),
        "nginx-odd": fleet("nginx", odd),
        "haproxy-even": fleet("haproxy", even(5)),
        "haproxy-mixed": fleet("haproxy", mixed([2, 3, 1, 10, 200])),
        "haproxy-ids": fleet("haproxy", numbered),
        "haproxy-ipv6": fleet("haproxy", ipv6([1, 4, 2])),
        "haproxy-avalanche": fleet("haproxy", even(3), key_hash="djb2", avalanche=True),
        "libmemcached-even": fleet("libmemcached", memcached),
        "libmemcached-mixed": fleet("libmemcached", memcached_mixed),
        "libmemcached-ports": fleet("libmemcached", even(7)),
        "libmemcached-unweighted": fleet("libmemcached", even(4), key_hash="one_at_a_time", weighted=False),
        "libmemcached-heavy": fleet("libmemcached", memcached_mixed, key_hash="one_at_a_time", weighted=False),
        "twemproxy-even": fleet("twemproxy", even(5)),
        "twemproxy-mixed": fleet("twemproxy", memcached_mixed),
        "twemproxy-named": fleet("twemproxy", named),
        "envoy-ring-even": fleet("envoy-ring", even(6)),
        "envoy-ring-mixed": fleet("envoy-ring", mixed([1, 2, 3, 7])),
        "envoy-ring-ipv6": fleet("envoy-ring", ipv6([1, 3])),
        "envoy-ring-small": fleet("envoy-ring", mixed([5, 2, 2]), ring_size_min=10, ring_size_max=64),
        "envoy-ring-keyed": fleet("envoy-ring", keyed),
        "envoy-maglev-even": fleet("envoy-maglev", even(6)),
        "envoy-maglev-mixed": fleet("envoy-maglev", mixed([1, 2, 3, 7])),
        "envoy-maglev-ipv6": fleet("envoy-maglev", ipv6([1, 3])),
        "envoy-maglev-small": fleet("envoy-maglev", mixed([5, 2, 2]), {"table_size": 65539}),
        "envoy-maglev-keyed": fleet("envoy-maglev", keyed),
    }
    # Addresses of IPv4 written as IPv6 count as IPv6, and lead to this machine.
    hosted = [server(f"i{i}", a, 9901 + i, w) for i, (a, w) in
              enumerate([("::1", 2), ("::ffff:127.0.6.7", 1), ("::ffff:127.0.0.9", 3), ("::ffff:127.9.9.9", 1)])]
    for key in ["addr", "addr-port"]:
        result |= {
            f"haproxy-{key}-even": fleet("haproxy", even(5), server_key=key),
            f"haproxy-{key}-mixed": fleet("haproxy", mixed([2, 3, 1, 10, 40]), server_key=key),
            f"haproxy-{key}-ipv6": fleet("haproxy", hosted, server_key=key),
        }
    result |= {
        "libmemcached-spy-even": fleet("libmemcached", memcached, spy=True),
        "libmemcached-spy-mixed": fleet("libmemcached", memcached_mixed, spy=True),
        "libmemcached-spy-ports": fleet("libmemcached", even(7), spy=True),
        "libmemcached-spy-odd": fleet("libmemcached", [server("l0", "localhost", 9551), server("l1", "127.0.0.1", 11211, 2),
                                                       server("l2", "127.1.2.3", 9552)], spy=True),
        "ketama-even": fleet("ketama", even(5)),
        "ketama-mixed": fleet("ketama", mixed([2, 3, 1, 10, 200])),
        "ketama-odd": fleet("ketama", odd_ketama),
        "ketama-ipv6": fleet("ketama", ipv6([1, 4, 2])),
    }
    for function in ["sdbm", "djb2", "wt6", "crc32"]:
        result[f"haproxy-{function}"] = fleet("haproxy", even(4), key_hash=function)
    for function in ["fnv1_64", "fnv1a_32", "fnv1_32", "md5", "crc32", "crc32a", "one_at_a_time"]:
        result[f"twemproxy-{function}"] = fleet("twemproxy", even(4), key_hash=function)
    return result


def edge_fleets():
    """Those that are asked about keys which fall on points: `edges.py`."""
    def fleet(algorithm, servers, **compat):
        config = {"servers": servers, "routing": {"algorithm": algorithm}}
        return config | ({"compat": compat} if compat else {})

    return {
        "nginx-edges": fleet("nginx", even(5)),
        "haproxy-edges": fleet("haproxy", mixed([20, 20, 7, 20])),
        "twemproxy-edges": fleet("twemproxy", even(5)),
        "libmemcached-edges": fleet("libmemcached", even(36)),
        "libmemcached-edges-unweighted": fleet("libmemcached", even(4), key_hash="one_at_a_time", weighted=False),
        "envoy-ring-edges": fleet("envoy-ring", even(4), ring_size_min=131072),
    }


def fresh_fleets(seed):
    """Other servers for the same rules: as many, with other weights and addresses."""
    dice = random.Random(seed)
    result = {}
    for name, config in fleets().items():
        servers = []
        for i, entry in enumerate(config["servers"]):
            entry = dict(entry)
            if "hash_name" not in entry and ":" in entry["address"] and entry["address"] != "::1":
                entry["address"] = f"::ffff:127.{dice.randrange(10, 250)}.{dice.randrange(256)}.{dice.randrange(1, 255)}"
            elif "hash_name" not in entry and entry["address"] not in ("::1", "localhost"):
                entry["address"] = f"127.{dice.randrange(10, 250)}.{dice.randrange(256)}.{dice.randrange(1, 255)}"
            if "weight" in entry or name.endswith("-mixed"):
                entry["weight"] = dice.randrange(1, 12)
            if entry["address"] == "::1":
                entry["port"] = 9201 + 31 * i + dice.randrange(30)
                entry.pop("hash_name", None)
            servers.append(entry)
        result[name] = config | {"servers": servers}
    return result


def keys(seed, n=2000):
    """Text without spaces, controls and commas, which all of the products take as a key."""
    dice = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/%+=~!$&'()*;@"
    wide = letters + "äöüßéñøłжщ漢字かな한글🎈"
    made = [f"user:{i}" for i in range(n // 4)] + [f"/images/{i}.png?v={i % 7}" for i in range(n // 8)]
    made += [f"{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(256)}"
             for _ in range(n // 8)]
    while len(made) < n:
        alphabet = wide if len(made) % 3 == 0 else letters
        made.append("".join(dice.choice(alphabet) for _ in range(dice.choice([1, 2, 3, 8, 16, 33, 64, 120]))))
    return made[:n]
