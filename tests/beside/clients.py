"""The clients, as they are. Each check takes a proxy, fails by an exception, and says briefly what it saw."""

import asyncio
import re

import grpc
import websockets

from process import run
from proxies import Proxy

# Enough paths for every server to be among their owners.
N_PATHS = 60


def _assert_all_answer(proxy: Proxy, answers: list[str], method: str = "GET") -> str:
    seen = set()
    for i, answer in enumerate(answers):
        server, _, said = answer.strip().partition(" ")
        if server not in proxy.servers or said != f"{method} /item/{i}":
            raise AssertionError(f"/item/{i} was answered by {answer[:200]!r}")
        seen.add(server)
    if seen != proxy.servers:
        raise AssertionError(f"only {sorted(seen)} answered")
    return f"{len(answers)} answers of {len(seen)} servers"


def _curl(proxy: Proxy, url: str, options: list[str], version: str) -> str:
    command = ["curl", "-sS", "-m", "20", "-w", "\n%{http_version} %{http_code}", *options]
    answers = []
    # A process for each path: of kept connections curl 7.88 loses the thread in HTTP/2.
    for i in range(N_PATHS):
        answer, _, told = run([*command, f"{url}/item/{i}"]).rpartition("\n")
        if told != f"{version} 200":
            raise AssertionError(f"/item/{i}: {told}: {answer[:200]}")
        answers.append(answer)
    return _assert_all_answer(proxy, answers, "POST" if "-d" in options else "GET")


def curl(proxy: Proxy) -> str:
    return _curl(proxy, f"http://127.0.0.1:{proxy.http}", ["--http1.1"], "1.1")


def curl_post(proxy: Proxy) -> str:
    return _curl(proxy, f"http://127.0.0.1:{proxy.http}", ["--http1.1", "-d", "b" * 2000], "1.1")


def curl_h2c(proxy: Proxy) -> str:
    return _curl(proxy, f"http://127.0.0.1:{proxy.h2c}", ["--http2-prior-knowledge"], "2")


def curl_https(proxy: Proxy) -> str:
    return _curl(proxy, f"https://localhost:{proxy.https}", ["--cacert", str(proxy.ca), "--http1.1"], "1.1")


def curl_https_h2(proxy: Proxy) -> str:
    return _curl(proxy, f"https://localhost:{proxy.https}", ["--cacert", str(proxy.ca), "--http2"], "2")


def openssl(proxy: Proxy) -> str:
    seen = []
    for version in ("-tls1_2", "-tls1_3"):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.https}", "-servername", "localhost", version]
        command += ["-CAfile", str(proxy.ca), "-verify_return_error", "-ign_eof", "-alpn", "http/1.1"]
        request = "GET /item/0 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        told = run(command, given=request)
        if "Verify return code: 0 (ok)" not in told or "HTTP/1.1 200" not in told:
            raise AssertionError(f"{version}: {told[-500:]}")
        seen.append(re.search(r"^New, (TLSv1\.\d)", told, re.MULTILINE)[1])
    return ", ".join(seen)


def wrk(proxy: Proxy) -> str:
    return _wrk(f"http://127.0.0.1:{proxy.http}/item/0")


def wrk_https(proxy: Proxy) -> str:
    return _wrk(f"https://localhost:{proxy.https}/item/0")


def _wrk(url: str) -> str:
    told = run(["wrk", "-t1", "-c16", "-d1s", url])
    n = int(re.search(r"(\d+) requests in", told)[1])
    if n == 0 or "Non-2xx" in told or "Socket errors" in told:
        raise AssertionError(told)
    return f"{n} requests"


def h2load(proxy: Proxy) -> str:
    return _h2load(f"http://127.0.0.1:{proxy.h2c}/item/0")


def h2load_https(proxy: Proxy) -> str:
    return _h2load(f"https://localhost:{proxy.https}/item/0")


def _h2load(url: str) -> str:
    told = run(["h2load", "-n", "5000", "-c", "8", "-m", "32", url])
    if "5000 succeeded, 0 failed, 0 errored" not in told or "status codes: 5000 2xx" not in told:
        raise AssertionError(told)
    return "5000 of 5000"


def websocket(proxy: Proxy) -> str:
    messages = ["hello", b"\x00\x01", "ä" * 70_000, b"x" * (1 << 20)]

    async def talk():
        async with websockets.connect(f"ws://127.0.0.1:{proxy.websocket}/chat", max_size=None) as connection:
            for message in messages:
                await connection.send(message)
                if await connection.recv() != message:
                    raise AssertionError("another message came back")
            await (await connection.ping())

    asyncio.run(asyncio.wait_for(talk(), 30))
    return f"{len(messages)} messages and a ping"


def grpc_client(proxy: Proxy) -> str:
    with grpc.insecure_channel(f"127.0.0.1:{proxy.grpc}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        wait = {"timeout": 20}
        assert channel.unary_unary("/test.Echo/Say")(b"hello", **wait) == b"hello"
        big = b"x" * (1 << 20)
        assert channel.unary_unary("/test.Echo/Say")(big, **wait) == big
        assert list(channel.unary_stream("/test.Echo/Count")(b"100", **wait)) == [b"%d" % i for i in range(100)]
        assert channel.stream_unary("/test.Echo/Join")(iter([b"a", b"b", b"c"]), **wait) == b"abc"
        assert list(channel.stream_stream("/test.Echo/Talk")(iter([b"a", b"b"]), **wait)) == [b"A", b"B"]
        try:
            channel.unary_unary("/test.Echo/Refuse")(b"", **wait)
            raise AssertionError("what was refused came back as an answer")
        except grpc.RpcError as error:
            assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "not today"), error
    return "6 calls of 4 kinds, one refused in a trailer"


CHECKS = {
    "curl, HTTP/1.1": curl,
    "curl, POST": curl_post,
    "curl, HTTP/2 by prior knowledge": curl_h2c,
    "curl, HTTP/1.1 over TLS": curl_https,
    "curl, HTTP/2 over TLS": curl_https_h2,
    "openssl s_client": openssl,
    "wrk": wrk,
    "wrk over TLS": wrk_https,
    "h2load": h2load,
    "h2load over TLS": h2load_https,
    "WebSocket client": websocket,
    "gRPC client": grpc_client,
}
