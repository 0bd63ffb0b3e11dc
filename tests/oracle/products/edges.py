"""Keys whose hash falls exactly on a point, one below it, one above it, on 0 and on the greatest.

Ordinary keys never do, so only these tell `>` from `>=`. They are found and not guessed: most of the
hash functions can be run backwards. Where points are is computed here a second time; were it wrong,
these keys would be ordinary ones, and `tests/it/compat.rs` counts those that are on a point.
"""

import hashlib
import itertools
import random
import zlib

WORD = 1 << 32
LONG = 1 << 64
LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"


def unshift(x, n, bits=32):
    """What gives x by `a ^= a >> n`."""
    a = x
    for _ in range(bits // n):
        a = x ^ a >> n
    return a


class Hash:
    """A hash of 32 bits that takes its bytes one by one: its start, a step, and both backwards."""

    def __init__(self, start, step, back, finish=lambda h: h, unfinish=lambda h: h):
        self.step, self.back, self.finish, self.unfinish = step, back, finish, unfinish
        self.heads = {}
        for head in itertools.product(LETTERS, repeat=3):
            h = start
            for byte in head:
                h = step(h, byte)
            self.heads.setdefault(h, bytes(head))

    def keys(self, target, n_tail):
        """Keys of three and `n_tail` letters that have this hash."""
        for tail in itertools.product(LETTERS, repeat=n_tail):
            h = self.unfinish(target)
            for byte in reversed(tail):
                h = self.back(h, byte)
            if h in self.heads:
                yield (self.heads[h] + bytes(tail)).decode()


def crc32():
    entry = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0xEDB88320 if i & 1 else 0)
        entry.append(i)
    by_top = {e >> 24: i for i, e in enumerate(entry)}

    def back(h, byte):
        i = by_top[h >> 24]
        return (h ^ entry[i]) << 8 & 0xFFFFFFFF | i ^ byte

    return Hash(0xFFFFFFFF, lambda h, b: entry[(h ^ b) & 255] ^ h >> 8, back, lambda h: h ^ 0xFFFFFFFF, lambda h: h ^ 0xFFFFFFFF)


def fnv1a_64():
    """Its lower half, which is all that twemproxy keeps."""
    prime = 0x100000001B3 % WORD
    inverse = pow(prime, -1, WORD)
    return Hash(0xCBF29CE484222325 % WORD, lambda h, b: (h ^ b) * prime % WORD, lambda h, b: h * inverse % WORD ^ b)


def one_at_a_time():
    def step(h, byte):
        h = (h + byte) * 1025 % WORD
        return h ^ h >> 6

    def back(h, byte):
        return (unshift(h, 6) * pow(1025, -1, WORD) - byte) % WORD

    def finish(h):
        h = h * 9 % WORD
        return (h ^ h >> 11) * 32769 % WORD

    def unfinish(h):
        return unshift(h * pow(32769, -1, WORD) % WORD, 11) * pow(9, -1, WORD) % WORD

    return Hash(0, step, back, finish, unfinish)


def full_hash(a):
    a = (a * 4097 + 0x7ED55D16) % WORD
    a = a ^ 0xC761C23C ^ a >> 19
    a = (a * 33 + 0x165667B1) % WORD
    a = (a + 0xD3A2646C) % WORD ^ a << 9 & 0xFFFFFFFF
    a = (a * 9 + 0xFD7046C5) % WORD
    a = a ^ 0xB55A4F09 ^ a >> 16
    return a * 3221225473 % WORD


def full_unhash(x):
    a = unshift(x * pow(3221225473, -1, WORD) % WORD ^ 0xB55A4F09, 16)
    x = (a - 0xFD7046C5) * pow(9, -1, WORD) % WORD
    a = 0
    for _ in range(4):
        a = ((x ^ a << 9 & 0xFFFFFFFF) - 0xD3A2646C) % WORD
    a = (a - 0x165667B1) * pow(33, -1, WORD) % WORD
    a = unshift(a ^ 0xC761C23C, 19)
    return (a - 0x7ED55D16) * pow(4097, -1, WORD) % WORD


def sdbm_avalanche():
    inverse = pow(65599, -1, WORD)
    return Hash(0, lambda h, b: (h * 65599 + b) % WORD, lambda h, b: (h - b) * inverse % WORD, full_hash, full_unhash)


def words(text):
    sum_ = hashlib.md5(text.encode()).digest()
    return [int.from_bytes(sum_[i : i + 4], "little") for i in (0, 4, 8, 12)]


def md5_points(texts, n_sums):
    return [point for text in texts for k in range(n_sums) for point in words(f"{text}-{k}")]


def nginx(servers):
    points = []
    for s in servers:
        base, last = f"{s['address']}\0{s['port']}".encode(), 0
        for _ in range(160 * s.get("weight", 1)):
            last = zlib.crc32(base + last.to_bytes(4, "little"))
            points.append(last)
    return points


def haproxy(servers):
    """The nodes, and the middles between them, where the nearest one changes."""
    nodes = sorted(full_hash(4096 * (i + 1) + j) for i, s in enumerate(servers) for j in range(16 * s.get("weight", 1)))
    middles = [(a + (b - a) % WORD // 2) % WORD for a, b in zip(nodes, nodes[1:] + nodes[:1])]
    return nodes + middles


P = [0, 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5]


def rotl(x, n):
    return (x << n | x >> 64 - n) % LONG


def xxh64(data):
    """xxHash of less than 32 bytes, seed 0."""
    h = P[5] + len(data)
    while len(data) >= 8:
        k = rotl(int.from_bytes(data[:8], "little") * P[2] % LONG, 31) * P[1] % LONG
        h, data = (rotl(h ^ k, 27) * P[1] + P[4]) % LONG, data[8:]
    if len(data) >= 4:
        h = (rotl(h ^ int.from_bytes(data[:4], "little") * P[1] % LONG, 23) * P[2] + P[3]) % LONG
        data = data[4:]
    for byte in data:
        h = rotl(h ^ byte * P[5] % LONG, 11) * P[1] % LONG
    h = (h ^ h >> 33) * P[2] % LONG
    h = (h ^ h >> 29) * P[3] % LONG
    return h ^ h >> 32


INVERSE = [0] + [pow(p, -1, LONG) for p in P[1:]]


def xxh64_key(h):
    """The one key of eight bytes that has this hash."""
    h = unshift(h, 32, 64) * INVERSE[3] % LONG
    h = unshift(h, 29, 64) * INVERSE[2] % LONG
    h = unshift(h, 33, 64)
    k = rotl((h - P[4]) * INVERSE[1] % LONG, 64 - 27) ^ P[5] + 8
    return (rotl(k * INVERSE[1] % LONG, 64 - 31) * INVERSE[2] % LONG).to_bytes(8, "little")


def on_points(points, hash_, seed, n):
    """Some keys one below, on and one above points, and those on 0 and the greatest hash."""
    dice = random.Random(seed)
    points = sorted(set(points))
    found = [next(hash_.keys(h, 3)) for h in [0, WORD - 1, points[0], points[-1], points[-1] + 1]]
    for beside in (-1, 0, 1):
        of_these = (key for point in dice.sample(points, len(points))
                    for key in itertools.islice(hash_.keys((point + beside) % WORD, 2), 1))
        found += itertools.islice(of_these, n)
    return found


def by_search(points, seed, n_tried):
    """The same for MD5, which cannot be run backwards: so many keys are tried."""
    dice = random.Random(seed)
    wanted = {(point + beside) % WORD for point in points for beside in (-1, 0, 1)}
    tried = (f"{dice.getrandbits(40):x}" for _ in range(n_tried))
    return [key for key in tried if words(key)[0] in wanted]


def envoy(servers, n_points):
    """Keys of eight plain letters on or beside points of Envoy's: few points have one."""
    allowed = set(range(0x21, 0x7F)) - set(b",")
    found = []
    for s in servers:
        text = f"{s['address']}:{s['port']}"
        for i in range(n_points // len(servers)):
            point = xxh64(f"{text}_{i}".encode())
            keys = (xxh64_key((point + beside) % LONG) for beside in (-1, 0, 1))
            found += [key.decode() for key in keys if allowed.issuperset(key)]
    return found


def keys(config, seed, n=40):
    servers, rule = config["servers"], config["routing"]["algorithm"]
    if rule == "nginx":
        return on_points(nginx(servers), crc32(), seed, n)
    if rule == "haproxy":
        return on_points(haproxy(servers), sdbm_avalanche(), seed, n)
    if rule == "twemproxy":
        texts = [f"{s['address']}:{s['port']}" for s in servers]
        return on_points(md5_points(texts, 40), fnv1a_64(), seed, n)
    if rule == "envoy-ring":
        return envoy(servers, config["compat"]["ring_size_min"])
    texts = [f"{s['address']}:{s['port']}" for s in servers]
    if config.get("compat", {}).get("weighted", True):
        return by_search(md5_points(texts, 40), seed, 12_000_000)
    hash_ = one_at_a_time()

    def hashed(text):
        h = 0
        for byte in text.encode():
            h = hash_.step(h, byte)
        return hash_.finish(h)

    return on_points([hashed(f"{text}-{k}") for text in texts for k in range(100)], hash_, seed, n)
