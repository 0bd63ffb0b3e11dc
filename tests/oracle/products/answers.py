"""Asking a product over one connection."""

import socket


def answers_by_header(port, keys, header):
    """What each answer to `GET /` with an `x-key` has in `header`, over HTTP/1.1."""
    found, connection, lines = [], None, None
    for key in keys:
        for attempt in range(2):
            if connection is None:
                connection = socket.create_connection(("127.0.0.1", port), 10)
                lines = connection.makefile("rb")
            request = b"GET / HTTP/1.1\r\nhost: x\r\nx-key: " + key.encode() + b"\r\n\r\n"
            connection.sendall(request)
            status = lines.readline()
            if status:
                break
            # The product closed the connection after its last answer.
            connection.close()
            connection = None
        fields = {}
        while (line := lines.readline().strip()):
            name, _, value = line.decode("latin-1").partition(":")
            fields.setdefault(name.lower(), value.strip())
        lines.read(int(fields.get("content-length", 0)))
        if fields.get("connection", "").lower() == "close":
            connection.close()
            connection = None
        if header not in fields:
            raise RuntimeError(f"no {header} for {key!r}: {status} {fields}")
        found.append(fields[header])
    if connection:
        connection.close()
    return found
